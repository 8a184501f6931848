import { BuildState } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import { audit } from './audit-log.ts';
import { bigintColumn, type Database } from './database.ts';
import type { Principal } from './principal.ts';

/** What of a project everybody may see who asks. */
export interface Badge {
  /** of the steps of the last 30 days; null where there were none */
  readonly hitRatio: number | null;
  /** how the last build of a scope that inherits from none ended; null where none has */
  readonly lastBuild: BuildState | null;
}

const Row = z.object({ id: z.string() });
const Counts = z.object({ free: bigintColumn, all: bigintColumn });
const Last = z.object({ state: BuildState });

/** @throws KilnError NOT_FOUND where there is no such project, and where it shows nothing: nobody tells them apart */
export async function readBadge(db: Database, project: string): Promise<Badge> {
  const [row] = await db.query(Row, 'SELECT id FROM projects WHERE name = $1 AND public_badge', [project]);
  if (row === undefined) throw new KilnError('NOT_FOUND', 'there is no such badge');
  const [counts] = await db.query(
    Counts,
    `SELECT coalesce(sum(steps) FILTER (WHERE outcome <> 'miss'), 0)::bigint AS free, coalesce(sum(steps), 0)::bigint AS all
     FROM step_statistics WHERE project_id = $1 AND day > (now() AT TIME ZONE 'UTC')::date - 30`,
    [row.id],
  );
  const [last] = await db.query(
    Last,
    `SELECT b.state FROM builds b JOIN scopes s ON s.project_id = b.project_id AND s.id = b.scope_id AND s.parent_id IS NULL
     WHERE b.project_id = $1 AND b.parent_id IS NULL AND b.state IN ('succeeded', 'failed') ORDER BY b.created_at DESC, b.id DESC LIMIT 1`,
    [row.id],
  );
  return {
    hitRatio: counts === undefined || counts.all === 0 ? null : counts.free / counts.all,
    lastBuild: last?.state ?? null,
  };
}

/** Shows the badge of the caller's own project to everybody, or to nobody. @throws KilnError NOT_FOUND for another project */
export async function showBadge(db: Database, caller: Principal, project: string, shown: boolean): Promise<void> {
  if (project !== caller.project) throw new KilnError('NOT_FOUND', `there is no project ${JSON.stringify(project)}`);
  await db.transaction(async (sql) => {
    const changed = await sql.execute('UPDATE projects SET public_badge = $2 WHERE id = $1 AND public_badge <> $2', [
      caller.projectId,
      shown,
    ]);
    if (changed === 0) return;
    const action = shown ? 'badge.show' : 'badge.hide';
    await audit(sql, caller, { action, target: project, projectId: caller.projectId });
  });
}

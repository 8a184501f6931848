import { countRemoved } from './cache-growth.ts';
import type { Sql } from './database.ts';

export interface Burial {
  /** of the results that go */
  readonly versions: readonly string[];
  readonly reason: 'evicted' | 'lost' | 'disowned';
  /** for people: which quota, who said so */
  readonly detail?: string | undefined;
}

/** Takes results and their records out of the index, and leaves a note for whoever misses them. @returns how many results went */
export async function buryResults(sql: Sql, projectId: string, burial: Burial): Promise<number> {
  const { versions, reason, detail } = burial;
  if (versions.length === 0) return 0;
  await sql.execute(
    `INSERT INTO record_tombstones (project_id, scope_id, key, op, reason, detail, tree, producer_build)
     SELECT DISTINCT ON (r.scope_id, r.key) $1, r.scope_id, r.key, r.op, $3, $4, t.tree, t.producer_build
     FROM results t JOIN records r ON r.project_id = $1 AND r.scope_id = t.scope_id AND r.result_id = t.id
     WHERE t.project_id = $1 AND t.version = ANY ($2::bigint[]) ORDER BY r.scope_id, r.key, r.version DESC
     ON CONFLICT (project_id, scope_id, key) DO UPDATE SET op = excluded.op, reason = excluded.reason,
       detail = excluded.detail, gone_at = excluded.gone_at, tree = excluded.tree, producer_build = excluded.producer_build`,
    [projectId, versions, reason, detail ?? null],
  );
  // In one order, as everywhere: base layers are many results'.
  await sql.execute(
    `UPDATE blobs b SET check_at = least(b.check_at, now())
     FROM (SELECT digest FROM blobs WHERE digest IN
             (SELECT unnest(blobs) FROM results WHERE project_id = $1 AND version = ANY ($2::bigint[]))
           ORDER BY digest FOR NO KEY UPDATE) o WHERE b.digest = o.digest`,
    [projectId, versions],
  );
  await countRemoved(sql, projectId, burial);
  // Records go with their results.
  return await sql.execute('DELETE FROM results WHERE project_id = $1 AND version = ANY ($2::bigint[])', [
    projectId,
    versions,
  ]);
}

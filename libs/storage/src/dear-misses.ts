import { z } from 'zod';
import {
  causesOf,
  type DearMiss,
  type DearMisses,
  type DearMissesQuery,
  hintsOf,
  missText,
  statisticsNameOf,
  type StepView,
} from '#protocol';
import { bigintColumn, type Database } from './database.ts';
import { readSteps } from './fold-steps.ts';
import type { Counted } from './statistics-groups.ts';

const Row = z.object({
  step: z.string(),
  dockerfile: z.string(),
  cause: z.string(),
  misses: bigintColumn,
  followed: bigintColumn,
  spent_ms: z.number(),
  last_build: z.string().nullable(),
});
const Since = z.object({ since: z.string() });

/** What steps that ran cost most, from counts (count-build.ts); why, and what to do about it, from the last build of each. */
export async function readDearMisses(
  db: Database,
  { projectId, project }: Counted,
  { days, scope, limit }: DearMissesQuery,
): Promise<DearMisses> {
  const [day] = await db.query(
    Since,
    "SELECT to_char((now() AT TIME ZONE 'UTC')::date - $1::int, 'YYYY-MM-DD') AS since",
    [days - 1],
  );
  if (day === undefined) throw new Error('a date without a row');
  const rows = await db.query(
    Row,
    `SELECT t.step, t.dockerfile, t.cause, sum(t.steps)::bigint AS misses, sum(t.followed)::bigint AS followed,
       sum(t.spent_ms) AS spent_ms,
       (array_agg(t.last_build ORDER BY t.day DESC) FILTER (WHERE t.last_build IS NOT NULL))[1] AS last_build
     FROM step_statistics t JOIN scopes s ON s.project_id = t.project_id AND s.id = t.scope_id
     WHERE t.project_id = $1 AND t.day >= $2::date AND t.outcome = 'miss' AND ($3::text IS NULL OR s.name = $3)
     GROUP BY 1, 2, 3 HAVING sum(t.spent_ms) > 0 ORDER BY spent_ms DESC, 1, 2, 3 LIMIT $4`,
    [projectId, day.since, scope ?? null, limit],
  );
  const builds = new Map<string, readonly StepView[]>();
  const misses: DearMiss[] = [];
  for (const { spent_ms: spentMs, last_build: buildId, ...row } of rows) {
    if (buildId !== null && !builds.has(buildId)) builds.set(buildId, await readSteps(db, buildId));
    misses.push({ ...row, spentMs, last: buildId === null ? null : lastOf(row.step, buildId, builds.get(buildId)) });
  }
  return { project, since: day.since, misses };
}

function lastOf(name: string, buildId: string, steps: readonly StepView[] = []): DearMiss['last'] {
  const ran = steps.find((step) => step.cause !== null && statisticsNameOf(step.name) === name);
  if (ran?.cause == null) return null;
  const vertex = ran.cause.kind === 'followed' ? ran.cause.step.vertex : ran.vertex;
  const found = causesOf(steps).find(({ step }) => step.vertex === vertex);
  if (found === undefined) return null;
  const hints = hintsOf({ ...found, costMs: found.spentMs + found.followedMs });
  return {
    ...{ buildId, because: found.step, isBelow: found.step.vertex !== ran.vertex },
    ...{ why: missText(found.cause), hints: [...hints] },
  };
}

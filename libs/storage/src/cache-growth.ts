import type { CacheGrowth, CacheGrowthDay, CacheGrowthQuery } from '#protocol';
import { z } from 'zod';
import type { Burial } from './bury-results.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';
import { type Counted, daysAgo, today } from './statistics-groups.ts';

/** Writes down what a project's cache takes now: the last time of a day counts. */
export async function noteSize(sql: Sql, projectId: string, bytes: number): Promise<void> {
  await sql.execute(
    `INSERT INTO cache_sizes (project_id, day, bytes, results)
     SELECT $1, ${today}, $2, count(*) FROM results WHERE project_id = $1
     ON CONFLICT (project_id, day) DO UPDATE SET bytes = excluded.bytes, results = excluded.results`,
    [projectId, bytes],
  );
}

/** Counts results that go, in the transaction in which they do, as long as they are there. */
export async function countRemoved(sql: Sql, projectId: string, { versions, reason }: Burial): Promise<void> {
  await sql.execute(
    `WITH gone AS (
       SELECT id, cost_ms, size_bytes, layers->-1->'descriptor'->>'digest' AS layer
       FROM results WHERE project_id = $1 AND version = ANY ($2::bigint[])),
     freed AS (
       SELECT DISTINCT layer, size_bytes FROM gone WHERE size_bytes > 0 AND NOT EXISTS (
         SELECT FROM results r
         WHERE r.project_id = $1 AND r.blobs @> ARRAY[layer] AND r.version <> ALL ($2::bigint[])))
     INSERT INTO cache_removals AS t (project_id, day, reason, results, bytes, cost_ms)
     SELECT $1, ${today}, $3, count(*), (SELECT coalesce(sum(size_bytes), 0) FROM freed),
       (SELECT coalesce(sum(cost_ms), 0) FROM (SELECT DISTINCT ON (id) cost_ms FROM gone ORDER BY id) made)
     FROM gone HAVING count(*) > 0
     ON CONFLICT (project_id, day, reason) DO UPDATE SET results = t.results + excluded.results,
       bytes = t.bytes + excluded.bytes, cost_ms = t.cost_ms + excluded.cost_ms`,
    [projectId, versions, reason],
  );
}

const removal = z.object({ results: z.int(), bytes: z.int(), costMs: z.number() });
const Row = z.object({
  day: z.string(),
  bytes: bigintColumn.nullable(),
  results: bigintColumn.nullable(),
  steps: bigintColumn,
  spent_ms: z.number(),
  removed: z.partialRecord(z.enum(['evicted', 'lost', 'disowned']), removal),
});
const none = { results: 0, bytes: 0, costMs: 0 };

/** How large a project's cache was day by day, what was taken out of it, and what that cost later. */
export async function readGrowth(
  db: Database,
  { projectId, project }: Counted,
  { days, quotaBytes }: CacheGrowthQuery & { readonly quotaBytes: number },
): Promise<CacheGrowth> {
  const rows = await db.query(
    Row,
    `SELECT to_char(d.day, 'YYYY-MM-DD') AS day, z.bytes, z.results, coalesce(m.steps, 0)::bigint AS steps,
       coalesce(m.spent_ms, 0) AS spent_ms,
       (SELECT coalesce(json_object_agg(r.reason, json_build_object('results', r.results, 'bytes', r.bytes, 'costMs', r.cost_ms)), '{}')
        FROM cache_removals r WHERE r.project_id = $1 AND r.day = d.day) AS removed
     FROM (SELECT ${daysAgo(2)} + n AS day FROM generate_series(0, $2::int) AS n) d
     LEFT JOIN cache_sizes z ON z.project_id = $1 AND z.day = d.day
     LEFT JOIN (
       SELECT day, sum(steps) AS steps, sum(spent_ms) AS spent_ms FROM step_statistics
       WHERE project_id = $1 AND day >= ${daysAgo(2)} AND outcome = 'miss' AND cause = 'evicted' GROUP BY day) m ON m.day = d.day
     ORDER BY d.day`,
    [projectId, days - 1],
  );
  const all = rows.map(
    ({ day, bytes, results, steps, spent_ms: spentMs, removed }): CacheGrowthDay => ({
      ...{ day, bytes, results },
      ...{ evicted: removed.evicted ?? none, lost: removed.lost ?? none, disowned: removed.disowned ?? none },
      missed: { steps, spentMs },
    }),
  );
  const [first, last] = [all[0], all.at(-1)];
  if (first === undefined || last === undefined) throw new Error('a span without a day');
  return { project, since: first.day, until: last.day, quotaBytes, total: totalOf(all), days: all };
}

function totalOf(days: readonly CacheGrowthDay[]): CacheGrowth['total'] {
  const sum = <T>(parts: readonly T[], of: (part: T) => number): number =>
    parts.reduce((all, part) => all + of(part), 0);
  const removed = (reason: Burial['reason']): CacheGrowthDay['evicted'] => ({
    results: sum(days, (day) => day[reason].results),
    bytes: sum(days, (day) => day[reason].bytes),
    costMs: sum(days, (day) => day[reason].costMs),
  });
  return {
    ...{ evicted: removed('evicted'), lost: removed('lost'), disowned: removed('disowned') },
    missed: { steps: sum(days, (day) => day.missed.steps), spentMs: sum(days, (day) => day.missed.spentMs) },
  };
}

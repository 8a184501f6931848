import type { StepRun } from '#cache';
import { type CacheReruns, type CacheRerunsQuery, statisticsNameOf } from '#protocol';
import { z } from 'zod';
import type { Claim } from './claim.ts';
import { bigintColumn, type Database } from './database.ts';
import { type Counted, countedRows, daysAgo, today } from './statistics-groups.ts';

type Running = Pick<Claim, 'buildId' | 'fence' | 'part' | 'projectId' | 'scopes'>;

/** Compares what steps of a build gave with what they gave before. */
export class RerunStore {
  readonly #db: Database;
  readonly #claim: Running;

  constructor(db: Database, claim: Running) {
    this.#db = db;
    this.#claim = claim;
  }

  /**
   * Counts a run of which another build's record, in a scope that this one reads, says what it gave before: the newest one that
   * is there, else the one that went last (what was disowned is no measure). To be called before the run's own record is saved.
   */
  async note({ name, key, tree }: StepRun): Promise<void> {
    const { buildId, fence, part, projectId, scopes } = this.#claim;
    // What a part makes is its build's.
    const owner = part?.parentId ?? buildId;
    const [{ id: scopeId }] = scopes;
    await this.#db.execute(
      `WITH earlier AS (
         SELECT * FROM (
           SELECT t.tree, t.producer_build AS build, 0 AS rank, r.confirmed_at_ms AS at FROM records r
           JOIN results t ON t.project_id = r.project_id AND t.scope_id = r.scope_id AND t.id = r.result_id
           WHERE r.project_id = $1 AND r.scope_id = ANY ($2::text[]) AND r.key = $3
           UNION ALL
           SELECT tree, producer_build, 1, extract(epoch FROM gone_at) FROM record_tombstones
           WHERE project_id = $1 AND scope_id = ANY ($2::text[]) AND key = $3 AND tree IS NOT NULL AND reason <> 'disowned') e
         WHERE build <> $9 ORDER BY rank, at DESC LIMIT 1),
       compared AS (
         SELECT e.tree = $6 AS same, $9::text AS build,
           coalesce((SELECT parent_id FROM builds WHERE id = e.build), e.build) AS earlier
         FROM earlier e JOIN builds b ON b.id = $5 AND b.fence = $7 AND b.state = 'running')
       INSERT INTO rerun_statistics AS t (project_id, scope_id, day, step, same, different, last_at, last_build, earlier_build)
       SELECT $1, $4, ${today}, $8, same::int, (NOT same)::int, CASE WHEN NOT same THEN now() END,
         CASE WHEN NOT same THEN build END, CASE WHEN NOT same THEN earlier END FROM compared
       ON CONFLICT (project_id, day, scope_id, step) DO UPDATE SET same = t.same + excluded.same,
         different = t.different + excluded.different, last_at = coalesce(excluded.last_at, t.last_at),
         last_build = coalesce(excluded.last_build, t.last_build),
         earlier_build = coalesce(excluded.earlier_build, t.earlier_build)`,
      [projectId, scopes.map(({ id }) => id), key, scopeId, buildId, tree, fence, statisticsNameOf(name), owner],
    );
  }
}

const Row = z.object({
  since: z.string(),
  step: z.string().nullable(),
  same: bigintColumn,
  different: bigintColumn,
  last_at: z.date().nullable(),
  last_build: z.string().nullable(),
  earlier_build: z.string().nullable(),
  all_same: bigintColumn,
  all_different: bigintColumn,
  steps: bigintColumn,
  differing: bigintColumn,
});

/** Which steps gave the same when they ran again, and which did not. */
export async function readReruns(
  db: Database,
  { projectId, project }: Counted,
  { days, scope, limit }: CacheRerunsQuery,
): Promise<CacheReruns> {
  const newest = (column: string): string =>
    `(array_agg(t.${column} ORDER BY t.last_at DESC) FILTER (WHERE t.last_at IS NOT NULL))[1] AS ${column}`;
  // A row without a step says that there is none.
  const rows = await db.query(
    Row,
    `WITH each AS (
       SELECT t.step, sum(t.same)::bigint AS same, sum(t.different)::bigint AS different,
         ${newest('last_at')}, ${newest('last_build')}, ${newest('earlier_build')}
       ${countedRows('rerun_statistics')} GROUP BY t.step),
     total AS (
       SELECT to_char(${daysAgo(2)}, 'YYYY-MM-DD') AS since, coalesce(sum(same), 0)::bigint AS all_same,
         coalesce(sum(different), 0)::bigint AS all_different, count(*) AS steps,
         count(*) FILTER (WHERE different > 0) AS differing FROM each)
     SELECT total.*, e.step, coalesce(e.same, 0) AS same, coalesce(e.different, 0) AS different, e.last_at, e.last_build,
       e.earlier_build
     FROM total LEFT JOIN each e ON true ORDER BY e.different DESC, e.same DESC, e.step LIMIT $4`,
    [[projectId], days - 1, scope ?? null, limit + 1],
  );
  const [first] = rows;
  if (first === undefined) throw new Error('a sum without a row');
  const { since, all_same: same, all_different: different, steps, differing } = first;
  const named = rows.flatMap(({ step, last_at: at, last_build: buildId, earlier_build: earlierBuildId, ...row }) => {
    const last =
      at === null || buildId === null || earlierBuildId === null
        ? null
        : { buildId, earlierBuildId, at: at.toISOString() };
    return step === null ? [] : [{ step, same: row.same, different: row.different, last }];
  });
  const total = { same, different, steps, differing };
  return { project, since, total, steps: named.slice(0, limit), more: named.length > limit };
}

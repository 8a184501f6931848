import { z } from 'zod';
import {
  type CacheStatistics,
  type CacheStatisticsQuery,
  type DearMisses,
  type DearMissesQuery,
  MAX_STATISTICS_DAYS,
  type StatisticsBy,
} from '#protocol';
import { bigintColumn, type Database } from './database.ts';
import { readDearMisses } from './dear-misses.ts';

const counts = {
  hits: bigintColumn,
  joined: bigintColumn,
  misses: bigintColumn,
  followed: bigintColumn,
  saved_ms: z.number(),
  saved_bytes: bigintColumn,
  spent_ms: z.number(),
};
const sums = `coalesce(sum(t.steps) FILTER (WHERE t.outcome = 'hit'), 0)::bigint AS hits,
  coalesce(sum(t.steps) FILTER (WHERE t.outcome = 'joined'), 0)::bigint AS joined,
  coalesce(sum(t.steps) FILTER (WHERE t.outcome = 'miss'), 0)::bigint AS misses,
  coalesce(sum(t.followed), 0)::bigint AS followed, coalesce(sum(t.saved_ms), 0) AS saved_ms,
  coalesce(sum(t.saved_bytes), 0)::bigint AS saved_bytes, coalesce(sum(t.spent_ms), 0) AS spent_ms`;
const branchSums = `sum(t.hits)::bigint AS hits, sum(t.joined)::bigint AS joined, sum(t.misses)::bigint AS misses,
  sum(t.followed)::bigint AS followed, sum(t.saved_ms) AS saved_ms, sum(t.saved_bytes)::bigint AS saved_bytes,
  sum(t.spent_ms) AS spent_ms`;
const renamed = <T extends { saved_ms: number; saved_bytes: number; spent_ms: number }>(row: T) => {
  const { saved_ms: savedMs, saved_bytes: savedBytes, spent_ms: spentMs, ...others } = row;
  return { ...others, savedMs, savedBytes, spentMs };
};
const Total = z.object(counts).transform(renamed);
const Group = z.object({ name: z.string(), ...counts }).transform(renamed);
const Builds = z.object({ since: z.string(), builds: bigintColumn, cached: bigintColumn });

const groups: Readonly<
  Record<
    StatisticsBy,
    { readonly name: string; readonly order: string; readonly table?: string; readonly join?: string }
  >
> = {
  day: { name: "to_char(t.day, 'YYYY-MM-DD')", order: 'name DESC' },
  scope: { name: 's.name', order: 'spent_ms DESC, saved_ms DESC, name' },
  branch: { name: 't.branch', order: 'spent_ms DESC, saved_ms DESC, name', table: 'branch_statistics' },
  dockerfile: { name: 't.dockerfile', order: 'spent_ms DESC, saved_ms DESC, name' },
  step: { name: 't.step', order: 'spent_ms DESC, saved_ms DESC, name' },
  cause: { name: 't.cause', order: 'misses DESC, spent_ms DESC, name' },
  project: {
    name: 'p.name',
    order: 'spent_ms DESC, saved_ms DESC, name',
    join: 'JOIN projects p ON p.id = t.project_id',
  },
};

/** What the cache was good for, from counts that are kept as builds end (count-build.ts). */
export class StatisticsReader {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @param projectIds whose builds are counted together */
  async read(
    { projectId, project }: { readonly projectId: string; readonly project: string },
    { days, by, scope, limit }: CacheStatisticsQuery,
    projectIds: readonly string[] = [projectId],
  ): Promise<CacheStatistics> {
    const values = [projectIds, days - 1, scope ?? null];
    const from = (
      table: string,
      join = '',
    ): string => `FROM ${table} t JOIN scopes s ON s.project_id = t.project_id AND s.id = t.scope_id ${join}
      WHERE t.project_id = ANY ($1) AND t.day >= (now() AT TIME ZONE 'UTC')::date - $2::int AND ($3::text IS NULL OR s.name = $3)`;
    const [builds] = await this.#db.query(
      Builds,
      `SELECT to_char((now() AT TIME ZONE 'UTC')::date - $2::int, 'YYYY-MM-DD') AS since,
         coalesce(sum(t.builds), 0)::bigint AS builds, coalesce(sum(t.cached_builds), 0)::bigint AS cached
       ${from('build_statistics')}`,
      values,
    );
    const [total] = await this.#db.query(Total, `SELECT ${sums} ${from('step_statistics')}`, values);
    const { name, order, table = 'step_statistics', join } = groups[by];
    const summed = table === 'step_statistics' ? sums : branchSums;
    const misses = by === 'cause' ? "AND t.outcome = 'miss'" : '';
    const found = await this.#db.query(
      Group,
      `SELECT ${name} AS name, ${summed} ${from(table, join)} ${misses} GROUP BY 1 ORDER BY ${order} LIMIT $4`,
      [...values, limit + 1],
    );
    if (builds === undefined || total === undefined) throw new Error('a sum without a row');
    return {
      project,
      since: builds.since,
      builds: builds.builds,
      cachedBuilds: builds.cached,
      total,
      by,
      groups: found.slice(0, limit),
      more: found.length > limit,
    };
  }

  /** See {@link readDearMisses}. */
  async dearMisses(
    whose: { readonly projectId: string; readonly project: string },
    query: DearMissesQuery,
  ): Promise<DearMisses> {
    return await readDearMisses(this.#db, whose, query);
  }

  /** Lets go of what is older than anybody may ask for. */
  async sweep(): Promise<void> {
    for (const table of ['step_statistics', 'build_statistics', 'branch_statistics'] as const)
      await this.#db.execute(`DELETE FROM ${table} WHERE day < (now() AT TIME ZONE 'UTC')::date - $1::int`, [
        MAX_STATISTICS_DAYS,
      ]);
  }
}

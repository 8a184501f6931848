import { z } from 'zod';
import {
  type CacheReruns,
  type CacheRerunsQuery,
  type CacheSeries,
  type CacheSeriesQuery,
  type CacheStatistics,
  type CacheStatisticsQuery,
  type DearMisses,
  type DearMissesQuery,
  MAX_STATISTICS_DAYS,
} from '#protocol';
import { bigintColumn, type Database } from './database.ts';
import { readDearMisses } from './dear-misses.ts';
import { readReruns } from './rerun-store.ts';
import { type Counted, countColumns, countedRows, daysAgo, groupings, renamed, sumsOf } from './statistics-groups.ts';
import { readSeries } from './statistics-series.ts';

const Total = z.object(countColumns).transform(renamed);
const Group = z.object({ name: z.string(), ...countColumns }).transform(renamed);
const Builds = z.object({ since: z.string(), builds: bigintColumn, cached: bigintColumn });

const sweptTables = [
  'step_statistics',
  'build_statistics',
  'branch_statistics',
  'cache_sizes',
  'cache_removals',
  'rerun_statistics',
] as const;

/** What the cache was good for, from counts that are kept as builds end (count-build.ts). */
export class StatisticsReader {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @param projectIds whose builds are counted together */
  async read(
    { projectId, project }: Counted,
    { days, by, scope, limit }: CacheStatisticsQuery,
    projectIds: readonly string[] = [projectId],
  ): Promise<CacheStatistics> {
    const values = [projectIds, days - 1, scope ?? null];
    const [builds] = await this.#db.query(
      Builds,
      `SELECT to_char(${daysAgo(2)}, 'YYYY-MM-DD') AS since,
         coalesce(sum(t.builds), 0)::bigint AS builds, coalesce(sum(t.cached_builds), 0)::bigint AS cached
       ${countedRows('build_statistics')}`,
      values,
    );
    const steps = `SELECT ${sumsOf('step_statistics')} ${countedRows('step_statistics')}`;
    const [total] = await this.#db.query(Total, steps, values);
    const { name, order, table, join, where } = groupings[by];
    const found = await this.#db.query(
      Group,
      `SELECT ${name} AS name, ${sumsOf(table)} ${countedRows(table, join)} AND ${where} GROUP BY 1 ORDER BY ${order} LIMIT $4`,
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

  /** Day by day. @param projectIds whose builds are counted together */
  async series(
    { projectId, project }: Counted,
    query: CacheSeriesQuery,
    projectIds: readonly string[] = [projectId],
  ): Promise<CacheSeries> {
    return await readSeries(this.#db, project, projectIds, query);
  }

  /** See {@link readDearMisses}. */
  async dearMisses(whose: Counted, query: DearMissesQuery): Promise<DearMisses> {
    return await readDearMisses(this.#db, whose, query);
  }

  /** See {@link readReruns}. */
  async reruns(whose: Counted, query: CacheRerunsQuery): Promise<CacheReruns> {
    return await readReruns(this.#db, whose, query);
  }

  /** Lets go of what is older than anybody may ask for. */
  async sweep(): Promise<void> {
    for (const table of sweptTables)
      await this.#db.execute(`DELETE FROM ${table} WHERE day < ${daysAgo(1)}`, [MAX_STATISTICS_DAYS]);
  }
}

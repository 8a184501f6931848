import { z } from 'zod';

/**
 * What a count can be told by. `cause` counts steps that were not found; the others count all steps. A build of no branch is of `''`.
 * `project` counts, without one that is asked for, all projects that the caller may read.
 */
export const StatisticsBy = z.enum(['day', 'scope', 'branch', 'dockerfile', 'step', 'cause', 'project']);
export type StatisticsBy = z.infer<typeof StatisticsBy>;

export const MAX_STATISTICS_DAYS = 400;

/** GET /v1/cache/statistics */
export const CacheStatisticsQuery = z.strictObject({
  /** so many days back, today included (UTC) */
  days: z.coerce.number().int().min(1).max(MAX_STATISTICS_DAYS).default(7),
  by: StatisticsBy.default('day'),
  /** of one scope alone */
  scope: z.string().min(1).max(128).optional(),
  /** how many groups are told, those with the most time spent first (days: the newest first) */
  limit: z.coerce.number().int().min(1).max(1_000).default(20),
});
export type CacheStatisticsQuery = z.infer<typeof CacheStatisticsQuery>;

/** What is counted of steps. */
export const statisticsCounts = {
  /** found in the cache */
  hits: z.int(),
  /** run by another build at the same time */
  joined: z.int(),
  /** run, those that failed too */
  misses: z.int(),
  /** of the misses: for nothing but what the step stands on */
  followed: z.int(),
  /** what hits and joined steps took when they ran */
  savedMs: z.number(),
  /** layers that hits did not make again */
  savedBytes: z.int(),
  /** what the misses took */
  spentMs: z.number(),
};

export const StatisticsGroup = z.object({ name: z.string(), ...statisticsCounts });
export type StatisticsGroup = z.infer<typeof StatisticsGroup>;

/** Of builds that have ended, counted as they end; each step of each build once. */
export const CacheStatistics = z.object({
  project: z.string(),
  /** the first day, as 2026-01-31 */
  since: z.iso.date(),
  builds: z.int(),
  /** of these: nothing had to run */
  cachedBuilds: z.int(),
  total: z.object(statisticsCounts),
  by: StatisticsBy,
  groups: z.array(StatisticsGroup),
  /** there are more groups */
  more: z.boolean(),
});
export type CacheStatistics = z.infer<typeof CacheStatistics>;

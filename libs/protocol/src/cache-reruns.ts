import { z } from 'zod';
import { MAX_STATISTICS_DAYS } from './cache-statistics.ts';

/** GET /v1/cache/reruns */
export const CacheRerunsQuery = z.strictObject({
  /** so many days back, today included (UTC) */
  days: z.coerce.number().int().min(1).max(MAX_STATISTICS_DAYS).default(30),
  /** of one scope alone */
  scope: z.string().min(1).max(128).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});
export type CacheRerunsQuery = z.infer<typeof CacheRerunsQuery>;

const rerunCounts = {
  /** runs that gave what the run before gave: the same files, modes, owners and bytes, whatever their times */
  same: z.int(),
  /** runs that gave something else, on the same inputs */
  different: z.int(),
};

export const StepReruns = z.object({
  /** as statistics name it */
  step: z.string(),
  ...rerunCounts,
  /** the last run that gave something else, and the one that it is compared with */
  last: z.object({ buildId: z.string(), earlierBuildId: z.string(), at: z.iso.datetime() }).nullable(),
});
export type StepReruns = z.infer<typeof StepReruns>;

/** Which steps are deterministic, as far as they ran again: without the cache, or after what they had was gone from it. */
export const CacheReruns = z.object({
  project: z.string(),
  since: z.iso.date(),
  total: z.object({
    ...rerunCounts,
    /** that ran again, and those of them that gave something else at least once */
    steps: z.int(),
    differing: z.int(),
  }),
  /** those that gave something else most often first */
  steps: z.array(StepReruns),
  /** there are more of them */
  more: z.boolean(),
});
export type CacheReruns = z.infer<typeof CacheReruns>;

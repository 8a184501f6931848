import { z } from 'zod';
import { MAX_STATISTICS_DAYS } from './cache-statistics.ts';

/** GET /v1/cache/growth */
export const CacheGrowthQuery = z.strictObject({
  /** so many days back, today included (UTC) */
  days: z.coerce.number().int().min(1).max(MAX_STATISTICS_DAYS).default(30),
});
export type CacheGrowthQuery = z.infer<typeof CacheGrowthQuery>;

/** Results that were taken out of the cache. */
export const CacheRemoval = z.object({
  /** each scope's by itself, as usage counts them */
  results: z.int(),
  /** of those of their layers that went with them: no other result of the project has them */
  bytes: z.int(),
  /** what it had taken to make them */
  costMs: z.number(),
});
export type CacheRemoval = z.infer<typeof CacheRemoval>;

const taken = {
  /** over a quota, or on request */
  evicted: CacheRemoval,
  /** with blobs that were lost or damaged */
  lost: CacheRemoval,
  disowned: CacheRemoval,
  /** steps that ran because what they had was evicted, then or before, as statistics have them */
  missed: z.object({ steps: z.int(), spentMs: z.number() }),
};

export const CacheGrowthDay = z.object({
  day: z.iso.date(),
  /** what the project's cache took when it was last measured on that day; null: it was not */
  bytes: z.int().nullable(),
  results: z.int().nullable(),
  ...taken,
});
export type CacheGrowthDay = z.infer<typeof CacheGrowthDay>;

/** How large a project's cache was, what was taken out of it, and what that cost later. */
export const CacheGrowth = z.object({
  project: z.string(),
  since: z.iso.date(),
  until: z.iso.date(),
  quotaBytes: z.int(),
  total: z.object(taken),
  /** every one, the oldest first */
  days: z.array(CacheGrowthDay),
});
export type CacheGrowth = z.infer<typeof CacheGrowth>;

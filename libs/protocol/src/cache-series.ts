import { z } from 'zod';
import { MAX_STATISTICS_DAYS, StatisticsBy, statisticsCounts } from './cache-statistics.ts';

/** How many groups are told apart: as many lines as people can. */
export const MAX_SERIES_GROUPS = 12;

/** GET /v1/cache/statistics/series */
export const CacheSeriesQuery = z.strictObject({
  /** so many days back, today included (UTC) */
  days: z.coerce.number().int().min(1).max(MAX_STATISTICS_DAYS).default(30),
  by: StatisticsBy.exclude(['day']).default('branch'),
  /** of one scope alone */
  scope: z.string().min(1).max(128).optional(),
  /** how many groups are told apart: those that statistics tell first */
  limit: z.coerce.number().int().min(1).max(MAX_SERIES_GROUPS).default(6),
});
export type CacheSeriesQuery = z.infer<typeof CacheSeriesQuery>;
export type SeriesBy = CacheSeriesQuery['by'];

/** A day (UTC) on which something was counted. */
export const SeriesDay = z.object({ day: z.iso.date(), ...statisticsCounts });
export type SeriesDay = z.infer<typeof SeriesDay>;

const series = { total: z.object(statisticsCounts), /** the oldest first */ days: z.array(SeriesDay) };
export const SeriesGroup = z.object({ name: z.string(), ...series });
export type SeriesGroup = z.infer<typeof SeriesGroup>;

/** Statistics by group and day: the groups and the others together are all that was counted (by cause: all misses). */
export const CacheSeries = z.object({
  project: z.string(),
  /** the first day and the last */
  since: z.iso.date(),
  until: z.iso.date(),
  by: CacheSeriesQuery.shape.by,
  ...series,
  groups: z.array(SeriesGroup),
  /** all further groups together, and how many they are */
  others: z.object({ groups: z.int(), ...series }).nullable(),
});
export type CacheSeries = z.infer<typeof CacheSeries>;

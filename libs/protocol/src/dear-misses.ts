import { z } from 'zod';
import { MAX_STATISTICS_DAYS } from './cache-statistics.ts';
import { Hint } from './hints.ts';
import { StepRef } from './miss-cause.ts';

/** GET /v1/cache/misses */
export const DearMissesQuery = z.strictObject({
  /** so many days back, today included (UTC) */
  days: z.coerce.number().int().min(1).max(MAX_STATISTICS_DAYS).default(7),
  /** of one scope alone */
  scope: z.string().min(1).max(128).optional(),
  limit: z.coerce.number().int().min(1).max(50).default(10),
});
export type DearMissesQuery = z.infer<typeof DearMissesQuery>;

/** A step of a Dockerfile that ran again and again for one cause, and what that took. */
export const DearMiss = z.object({
  /** as statistics name it */
  step: z.string(),
  dockerfile: z.string(),
  /** in a word, as statistics have it */
  cause: z.string(),
  misses: z.int(),
  /** of these: for nothing but what the step stands on */
  followed: z.int(),
  spentMs: z.number(),
  /** the last of them; null where it is not known any more */
  last: z
    .object({
      buildId: z.string(),
      /** the step whose cause it is: this one, or one that it stands on */
      because: StepRef,
      /** it is another step than this one */
      isBelow: z.boolean(),
      why: z.string(),
      /** what to do about it */
      hints: z.array(Hint),
    })
    .nullable(),
});
export type DearMiss = z.infer<typeof DearMiss>;

/** Those that took most of the time first. */
export const DearMisses = z.object({ project: z.string(), since: z.iso.date(), misses: z.array(DearMiss) });
export type DearMisses = z.infer<typeof DearMisses>;

import { DigestSchema } from '#oci';
import { z } from 'zod';

/** How many results, and how many builds, an answer names; of all others there is the count. */
export const MAX_NAMED_DISOWNED = 200;

/** POST /v1/cache/disown: takes results, and all that was made on top of them, out of the cache for good. */
export const CacheDisownRequest = z.strictObject({
  /** the build whose results they are: without `vertex`, all that it made */
  buildId: z.string().min(1).max(64),
  /** of one step alone: the result that the step made or found */
  vertex: DigestSchema.optional(),
  /** for whoever misses them later */
  reason: z.string().min(1).max(200).optional(),
  /** only say what would go, and who used it */
  dryRun: z.boolean().default(false),
});
export type CacheDisownRequest = z.infer<typeof CacheDisownRequest>;

export const CacheDisowned = z.object({
  results: z
    .array(
      z.object({
        id: DigestSchema,
        /** the step, as far as its record tells */
        name: z.string(),
        scope: z.string(),
        bytes: z.int(),
        /** who made it */
        buildId: z.string(),
        createdAt: z.iso.datetime(),
      }),
    )
    .max(MAX_NAMED_DISOWNED),
  otherResults: z.int(),
  /** results that stay: their scopes are trusted further than the token */
  protectedResults: z.int(),
  /** the newest first; those that still run go on with what they have found */
  builds: z
    .array(
      z.object({
        id: z.string(),
        scope: z.string(),
        state: z.string(),
        createdAt: z.iso.datetime(),
        /** of the image that it made */
        digest: DigestSchema.nullable(),
        names: z.array(z.string()),
      }),
    )
    .max(MAX_NAMED_DISOWNED),
  otherBuilds: z.int(),
});
export type CacheDisowned = z.infer<typeof CacheDisowned>;

import { z } from 'zod';

/** What of a project's blobs is for what; each blob counts once, for the first that it is for. */
export const CacheKind = z.enum(['layers', 'forms', 'sources', 'mounts', 'logs', 'kept', 'other']);
export type CacheKind = z.infer<typeof CacheKind>;

/** GET /v1/cache/usage: what takes room in the caller's project. */
export const CacheUsage = z.object({
  /** of all kinds */
  bytes: z.int(),
  /** what counts against the quota: layers, forms, sources and cache mounts */
  cacheBytes: z.int(),
  quotaBytes: z.int(),
  kinds: z.array(z.object({ kind: CacheKind, blobs: z.int(), bytes: z.int() })),
  scopes: z.array(
    z.object({
      scope: z.string(),
      results: z.int(),
      records: z.int(),
      bytes: z.int(),
      /** of these, what another scope of the project has too */
      sharedBytes: z.int(),
    }),
  ),
});
export type CacheUsage = z.infer<typeof CacheUsage>;

/** POST /v1/cache/prune */
export const CachePruneRequest = z.strictObject({
  /** only say what would go */
  dryRun: z.boolean().default(false),
  /** the least valuable go until the cache is no larger */
  keepStorageBytes: z.int().min(0).optional(),
  /** only what no build made or found for so long */
  unusedMs: z.int().min(0).default(0),
  /** also what is no step's result: layers in other forms, fetched files */
  all: z.boolean().default(false),
});
export type CachePruneRequest = z.infer<typeof CachePruneRequest>;

export const PrunedResult = z.object({
  id: z.string(),
  /** the step, as far as its record tells */
  name: z.string(),
  scopes: z.array(z.string()),
  /** its share of the layers that it needs */
  bytes: z.int(),
  costMs: z.number(),
  uses: z.int(),
  createdAt: z.iso.datetime(),
  usedAt: z.iso.datetime(),
  /** milliseconds that keeping a mebibyte of it is likely to save: the lowest go first */
  value: z.number(),
});
export type PrunedResult = z.infer<typeof PrunedResult>;

export const CachePruned = z.object({
  results: z.array(PrunedResult),
  /** further things that went or would go: layers in other forms, fetched files */
  others: z.int(),
  /** what the cache took before, and takes once the blobs are collected */
  bytesBefore: z.int(),
  bytesAfter: z.int(),
  /** there is more to prune than one answer takes */
  more: z.boolean(),
});
export type CachePruned = z.infer<typeof CachePruned>;

import { DigestSchema } from '#oci';
import { z } from 'zod';
import { BuildRequest } from './build-request.ts';

/** The media type of a context's manifest: lines of JSON, plain or compressed with gzip or zstd. */
export const CONTEXT_MANIFEST_TYPE = 'application/vnd.kiln.context.v1+jsonl';
/** Small files, many to a tar, each under the name of its digest: `sha256/` and its 64 digits. */
export const PACK_TYPE = 'application/x-tar';

/** Of one question or pack. */
export const MAX_BLOBS = 10_000;
/** Of the parts of a large file. */
export const MAX_PART_BYTES = 64 * 1024 * 1024;
/** Of a pack, unpacked. */
export const MAX_PACK_BYTES = 64 * 1024 * 1024;
export const MAX_PACK_FILES = 10_000;

const bytes = z.int().nonnegative();

/** POST /v1/contexts: a context that builds may be of. */
export const ContextView = z.object({
  /** what a build names it by */
  digest: DigestSchema,
  files: bytes,
  sizeBytes: bytes,
  /** contents of files that the project has not: they are asked for when a build needs them, or may be sent before */
  missing: z.array(DigestSchema),
});
export type ContextView = z.infer<typeof ContextView>;

/** POST /v1/blobs/missing */
export const BlobQuery = z.strictObject({ digests: z.array(DigestSchema).max(MAX_BLOBS) });
export type BlobQuery = z.infer<typeof BlobQuery>;

/** Those that the project has not, whatever the farm has. */
export const MissingBlobs = z.object({ missing: z.array(DigestSchema) });
export type MissingBlobs = z.infer<typeof MissingBlobs>;

/** PUT /v1/blobs/:digest as JSON: a large file, of parts that were sent before, in their order. */
export const BlobParts = z.strictObject({ parts: z.array(DigestSchema).min(1).max(MAX_BLOBS) });
export type BlobParts = z.infer<typeof BlobParts>;

/** PUT /v1/blobs/:digest */
export const StoredBlob = z.object({ digest: DigestSchema, sizeBytes: bytes });
export type StoredBlob = z.infer<typeof StoredBlob>;

/** POST /v1/blobs */
export const StoredBlobs = z.object({ blobs: bytes, sizeBytes: bytes });
export type StoredBlobs = z.infer<typeof StoredBlobs>;

/** A context that POST /v1/contexts has taken. */
export const ContextReference = z.strictObject({
  digest: DigestSchema,
  /** what crossed the wire for it so far, for the build's figures */
  sentBytes: bytes.default(0),
});
export type ContextReference = z.infer<typeof ContextReference>;

/** By name: `context` is the main one. */
export const ContextReferences = z.record(z.string().min(1).max(255), ContextReference);
export type ContextReferences = z.infer<typeof ContextReferences>;

/** POST /v1/builds as JSON, or as the parts `request` and `contexts`. */
export const BuildSubmission = z.strictObject({ request: BuildRequest, contexts: ContextReferences.default({}) });
export type BuildSubmission = z.infer<typeof BuildSubmission>;

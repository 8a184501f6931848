import type { Digest } from '#oci';
import type { Bytes } from '#std';

export interface BlobInfo {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** A blob as a list of the store has it. */
export interface ListedBlob extends BlobInfo {
  /** when its bytes were last put, by the store's clock (Unix time) */
  readonly modifiedMs: number;
}

/** Blobs by digest. Every implementation keeps content.contract.ts. */
export interface ContentStore {
  /**
   * The blob's bytes, verified: the stream fails at its end when they are not those of the digest, and the blob is removed.
   * @throws KilnError BLOB_MISSING, BLOB_CORRUPT, UPSTREAM_UNAVAILABLE
   */
  get(digest: Digest, signal?: AbortSignal): Bytes;
  /**
   * Stores a stream; visible only when whole. Putting what is there is harmless.
   * @throws KilnError BLOB_CORRUPT when the bytes are not those of `expected`; nothing is stored then
   */
  put(source: Bytes, expected?: Digest, signal?: AbortSignal): Promise<BlobInfo>;
  /** Which of these are not there. */
  findMissing(digests: ReadonlySet<Digest>, signal?: AbortSignal): Promise<ReadonlySet<Digest>>;
  /** Every blob that is there, in the order of their digests; those that come or go meanwhile may be missed. */
  list(signal?: AbortSignal): AsyncIterable<ListedBlob>;
  /** Removes blobs; those that are not there are no error. */
  remove(digests: ReadonlySet<Digest>, signal?: AbortSignal): Promise<void>;
  /** Removes what writers that died have left unfinished since before `beforeMs` (Unix time). Answers how much there was. */
  sweepTemporary(beforeMs: number, signal?: AbortSignal): Promise<number>;
}

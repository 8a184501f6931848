import type { BlobInfo, ContentStore, ListedBlob } from '#content';
import { type Digest, digestOf } from '#oci';
import { type Bytes, KilnError, release } from '#std';

/** A content store in memory that keeps the contract. */
export class MemoryContentStore implements ContentStore {
  readonly #blobs = new Map<Digest, Uint8Array>();
  readonly #putMs = new Map<Digest, number>();

  async *get(digest: Digest, signal?: AbortSignal): Bytes {
    signal?.throwIfAborted();
    const bytes = this.#blobs.get(digest);
    if (bytes === undefined) throw new KilnError('BLOB_MISSING', `blob ${digest} is not in the content store`);
    if (bytes.byteLength > 0) yield bytes;
    if (digestOf(bytes) === digest) return;
    this.#blobs.delete(digest);
    throw new KilnError('BLOB_CORRUPT', `blob ${digest} was damaged and has been removed`);
  }

  async put(source: Bytes, expected?: Digest, signal?: AbortSignal): Promise<BlobInfo> {
    if (signal?.aborted === true) await release(source);
    signal?.throwIfAborted();
    const chunks: Uint8Array[] = [];
    for await (const chunk of source) {
      signal?.throwIfAborted();
      chunks.push(chunk);
    }
    const bytes = Buffer.concat(chunks);
    const digest = digestOf(bytes);
    if (expected !== undefined && digest !== expected) {
      throw new KilnError('BLOB_CORRUPT', `expected ${expected}, but the bytes are those of ${digest}`);
    }
    this.#blobs.set(digest, bytes);
    this.#putMs.set(digest, Date.now());
    return { digest, sizeBytes: bytes.byteLength };
  }

  async findMissing(digests: ReadonlySet<Digest>, signal?: AbortSignal): Promise<ReadonlySet<Digest>> {
    signal?.throwIfAborted();
    return new Set([...digests].filter((digest) => !this.#blobs.has(digest)));
  }

  async sweepTemporary(): Promise<number> {
    return 0;
  }

  async *list(): AsyncIterable<ListedBlob> {
    for (const digest of [...this.#blobs.keys()].sort()) {
      const bytes = this.#blobs.get(digest);
      const modifiedMs = this.#putMs.get(digest) ?? 0;
      if (bytes !== undefined) yield { digest, sizeBytes: bytes.byteLength, modifiedMs };
    }
  }

  async remove(digests: ReadonlySet<Digest>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    for (const digest of digests) this.#blobs.delete(digest);
  }

  /** What is there, for assertions. */
  digests(): readonly Digest[] {
    return [...this.#blobs.keys()];
  }

  /** Changes a byte of a blob, as a failing disk does. */
  damage(digest: Digest): void {
    const bytes = Uint8Array.from(this.#blobs.get(digest) ?? []);
    if (bytes.byteLength === 0) throw new KilnError('BLOB_MISSING', `there is nothing to damage in ${digest}`);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    this.#blobs.set(digest, bytes);
  }
}

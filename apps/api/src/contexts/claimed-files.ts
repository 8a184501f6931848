import type { TreeEntry } from '#content';
import { DigestTable } from '#context';
import type { Digest } from '#oci';
import { KilnError } from '#std';

export const MAX_PATH_BYTES = 4_096;
/** Of a manifest as it is sent: a line has some 200 bytes. */
export const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

/** What a manifest claims: how many files, and which contents of which sizes they have. */
export class ClaimedFiles {
  readonly #maxBytes: number;
  readonly #sizes = new DigestTable();
  #files = 0;
  #total = 0;

  /** @param maxBytes of all files together */
  constructor(maxBytes = Number.POSITIVE_INFINITY) {
    this.#maxBytes = maxBytes;
  }

  /** All but directories. */
  get files(): number {
    return this.#files;
  }

  /** Of all files. */
  get sizeBytes(): number {
    return this.#total;
  }

  /** @throws KilnError CONTEXT_INVALID for two sizes of one content, LIMIT_EXCEEDED */
  add({ path, type, link = '', digest, size = 0 }: TreeEntry): void {
    if (Buffer.byteLength(path) > MAX_PATH_BYTES || Buffer.byteLength(link) > MAX_PATH_BYTES)
      throw new KilnError('LIMIT_EXCEEDED', `a name in the context is longer than ${MAX_PATH_BYTES} bytes`);
    if (type !== 'dir') this.#files++;
    if (digest === undefined) return;
    if (this.#sizes.add(digest, size) !== size)
      throw new KilnError('CONTEXT_INVALID', `the context says two sizes of ${digest}`);
    this.#total += size;
    if (this.#total > this.#maxBytes)
      throw new KilnError('LIMIT_EXCEEDED', `the context is larger than ${this.#maxBytes} bytes`, {
        field: 'context',
        hint: 'leave out with .dockerignore what the build does not need (.git, node_modules, build output)',
      });
  }

  /** The contents with their sizes, in the order of their digests, so many at a time or a few more. */
  *batches(atLeast: number): Generator<ReadonlyMap<Digest, number>> {
    let batch: (readonly [Digest, number])[] = [];
    for (const some of this.#sizes.inOrder()) {
      batch.push(...some);
      if (batch.length < atLeast) continue;
      yield new Map(batch);
      batch = [];
    }
    if (batch.length > 0) yield new Map(batch);
  }
}

import { type FileHandle, open } from 'node:fs/promises';
import { type ContentStore, delegate } from '#content';
import type { Digest } from '#oci';
import { type Bytes, systemCode } from '#std';

/** Blobs that a build has made and that are still on their way to the store: it reads them from where it made them. */
export class PendingBlobs {
  readonly #files = new Map<Digest, readonly string[]>();
  /** The store as the build sees it. What is pending is missing there, until it is put. */
  readonly content: ContentStore;

  constructor(store: ContentStore) {
    this.content = { ...delegate(store), get: (digest, signal) => this.#get(store, digest, signal) };
  }

  /** @param file stays as it is until it is withdrawn */
  offer(digest: Digest, file: string): void {
    this.#files.set(digest, [...this.#at(digest), file]);
  }

  /** What reads the file goes on. */
  withdraw(digest: Digest, file: string): void {
    const left = this.#at(digest).filter((each) => each !== file);
    if (left.length > 0) this.#files.set(digest, left);
    else this.#files.delete(digest);
  }

  #at(digest: Digest): readonly string[] {
    return this.#files.get(digest) ?? [];
  }

  async *#get(store: ContentStore, digest: Digest, signal: AbortSignal | undefined): Bytes {
    signal?.throwIfAborted();
    const [file] = this.#at(digest);
    // Withdrawn since it was looked up: it is stored by now.
    const handle = file === undefined ? undefined : await opened(file);
    if (handle === undefined) {
      yield* store.get(digest, signal);
      return;
    }
    try {
      const bytes: Bytes = handle.createReadStream({ autoClose: false, signal });
      yield* bytes;
    } finally {
      await handle.close();
    }
  }
}

async function opened(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file);
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

import { type ContentStore, leased, type Retain } from '#content';
import type { Digest } from '#oci';
import { isKilnError } from '#std';

/** The content store of one build: what it relies on is retained, and which blobs could not be read is noted, so that what refers to them can be taken back. */
export class DamagedBlobs {
  #digests = new Set<Digest>();
  readonly watched: ContentStore;

  constructor(given: ContentStore, retain: Retain) {
    const note = (digests: Iterable<Digest>): void => this.note(digests);
    const store = leased(given, retain, (digest) => this.note([digest]));
    this.watched = {
      async *get(digest, signal) {
        try {
          yield* store.get(digest, signal);
        } catch (thrown) {
          if (isKilnError(thrown, 'BLOB_MISSING', 'BLOB_CORRUPT')) note([digest]);
          throw thrown;
        }
      },
      put: (source, expected, signal) => store.put(source, expected, signal),
      findMissing: (digests, signal) => store.findMissing(digests, signal),
      list: (signal) => store.list(signal),
      sweepTemporary: (beforeMs, signal) => store.sweepTemporary(beforeMs, signal),
      remove: (digests, signal) => store.remove(digests, signal),
    };
  }

  note(digests: Iterable<Digest>): void {
    for (const digest of digests) this.#digests.add(digest);
  }

  /** Those noted since the last call. */
  take(): ReadonlySet<Digest> {
    const taken = this.#digests;
    this.#digests = new Set();
    return taken;
  }
}

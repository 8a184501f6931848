import { type BlobInfo, type ContentStore, delegate } from '#content';
import { type Digest, Hasher } from '#oci';
import type { Bytes } from '#std';
import { type Room, refused } from './sent-quota.ts';

export interface SentMeterOptions {
  readonly store: ContentStore;
  readonly room: Room;
  /** what may come at most */
  readonly mostBytes: number;
  /** which of these count for the project already */
  readonly sent: (digests: readonly Digest[]) => Promise<ReadonlySet<Digest>>;
  /** whether a blob that counts for the project is there, for longer than this upload takes */
  readonly has: (digest: Digest) => Promise<boolean>;
  /** lets them count for the project */
  readonly charge: (blobs: readonly BlobInfo[]) => Promise<void>;
}

/** Blobs that are charged in one go. */
const BATCH = 5_000;

/**
 * A store that takes no more new blobs than there is room for. What it took counts, whatever becomes of the upload; of what has
 * no room any more it reads the bytes alone, to see whether the project has sent them before.
 */
export class SentMeter {
  readonly store: ContentStore;
  readonly #options: SentMeterOptions;
  /** With more room than may come nothing is looked up. */
  readonly #isTight: boolean;
  #leftBytes: number;
  /** Taken, and not charged yet. */
  readonly #taken = new Map<Digest, number>();
  /** Of these, those that may count already. */
  #doubtful: Digest[] = [];
  #turn: Promise<void> = Promise.resolve();

  constructor(options: SentMeterOptions) {
    this.#options = options;
    this.#leftBytes = options.room.leftBytes;
    this.#isTight = options.room.leftBytes < options.mostBytes;
    this.store = {
      ...delegate(options.store),
      put: (source, expected, signal) => this.#put(source, expected, signal),
    };
  }

  /** Charges what has not been, once nothing is put any more. */
  async settle(): Promise<void> {
    await this.#inTurn(() => this.#charge());
  }

  async #put(source: Bytes, expected?: Digest, signal?: AbortSignal): Promise<BlobInfo> {
    const { store } = this.#options;
    if (!this.#isTight) return await this.#note(await store.put(source, expected, signal), 0);
    const metered = new Metered(source, (bytes) => this.#fits(bytes));
    try {
      const blob = await store.put(metered.bytes(this.#options.room), expected, signal);
      return await this.#note(blob, metered.countedBytes);
    } catch (thrown) {
      this.#leftBytes += metered.countedBytes;
      const digest = metered.refusedDigest;
      if (digest === undefined || !(this.#taken.has(digest) || (await this.#options.has(digest)))) throw thrown;
      return { digest, sizeBytes: metered.sizeBytes };
    }
  }

  async #note(blob: BlobInfo, countedBytes: number): Promise<BlobInfo> {
    if (this.#taken.has(blob.digest)) this.#leftBytes += countedBytes;
    else {
      this.#taken.set(blob.digest, blob.sizeBytes);
      if (this.#isTight) this.#doubtful.push(blob.digest);
    }
    if (this.#taken.size >= BATCH) await this.#inTurn(() => this.#charge());
    return blob;
  }

  async #fits(bytes: number): Promise<boolean> {
    if (bytes > this.#leftBytes) await this.#inTurn(() => this.#lookUp());
    if (bytes > this.#leftBytes) return false;
    this.#leftBytes -= bytes;
    return true;
  }

  /** What counts already needs no room. */
  async #lookUp(): Promise<void> {
    const doubtful = this.#doubtful;
    this.#doubtful = [];
    if (doubtful.length === 0) return;
    for (const digest of await this.#options.sent(doubtful)) this.#leftBytes += this.#taken.get(digest) ?? 0;
  }

  async #charge(): Promise<void> {
    // Once they are charged all of them count.
    await this.#lookUp();
    const taken = [...this.#taken].map(([digest, sizeBytes]) => ({ digest, sizeBytes }));
    await this.#options.charge(taken);
    for (const { digest } of taken) this.#taken.delete(digest);
  }

  /** One at a time. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    await done;
  }
}

/** Bytes on their way into the store as long as they fit; the rest of them is read for its digest. */
class Metered {
  readonly #source: Bytes;
  readonly #fits: (bytes: number) => Promise<boolean>;
  readonly #hasher = new Hasher();
  countedBytes = 0;
  sizeBytes = 0;
  /** of what did not fit, once all of it was read */
  refusedDigest: Digest | undefined;

  constructor(source: Bytes, fits: (bytes: number) => Promise<boolean>) {
    this.#source = source;
    this.#fits = fits;
  }

  async *bytes(room: Room): Bytes {
    let fits = true;
    for await (const chunk of this.#source) {
      this.#hasher.update(chunk);
      this.sizeBytes += chunk.byteLength;
      fits &&= await this.#fits(chunk.byteLength);
      if (!fits) continue;
      this.countedBytes += chunk.byteLength;
      yield chunk;
    }
    if (fits) return;
    this.refusedDigest = this.#hasher.digest();
    throw refused(room);
  }
}

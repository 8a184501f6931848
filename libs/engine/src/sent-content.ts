import { type ContentStore, delegate } from '#content';
import type { ContextManifest } from '#context';
import type { Digest } from '#oci';
import { isKilnError, KilnError } from '#std';
import pLimit from 'p-limit';
import type { BlobGrants } from './job.ts';
import type { BuildSession } from './session.ts';

export interface SentContentOptions {
  readonly near: ContentStore;
  /** of all contexts that the client has named */
  readonly manifests: readonly ContextManifest[];
  readonly grants: Pick<BlobGrants, 'missing'>;
  readonly session: Pick<BuildSession, 'files'>;
  /** told of the size of each file that the client was asked for */
  readonly onSent: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** Of one question. */
const BATCH = 500;
/** Questions at a time. */
const WIDTH = 4;

/**
 * Files of a client's contexts, which come when somebody is about to read them. A manifest is a claim: until its client has
 * sent a file, or has sent it before, the project has not shown that it may have it, whatever the farm has.
 */
export class SentContent {
  readonly #options: SentContentOptions;
  readonly #sizes = new Map<Digest, number>();
  readonly #coming = new Map<Digest, Promise<void>>();
  readonly #limit = pLimit(WIDTH);
  readonly content: ContentStore;

  constructor(options: SentContentOptions) {
    this.#options = options;
    const { near } = options;
    for (const { entries } of options.manifests)
      for (const entry of entries) if (entry.digest !== undefined) this.#sizes.set(entry.digest, entry.size ?? 0);
    const sent = (digests: ReadonlySet<Digest>): readonly Digest[] =>
      [...digests].filter((each) => this.#sizes.has(each));
    this.content = {
      ...delegate(near),
      get: (digest, signal) => (this.#sizes.has(digest) ? this.#get(digest, signal) : near.get(digest, signal)),
      findMissing: async (digests, signal) => {
        const absent = await near.findMissing(digests, signal);
        const claimed = sent(digests);
        return claimed.length === 0 ? absent : absent.union(await options.grants.missing(claimed, signal));
      },
    };
  }

  /**
   * Resolves when these are with the farm, and the project's; those that are of no context count as there.
   * @throws KilnError CONTEXT_INVALID when the client has left, or cannot send them
   */
  async bring(digests: Iterable<Digest>): Promise<void> {
    const fresh: Digest[] = [];
    const waited: Promise<void>[] = [];
    for (const digest of new Set(digests)) {
      const coming = this.#coming.get(digest);
      if (coming !== undefined) waited.push(coming);
      else if (this.#sizes.has(digest)) fresh.push(digest);
    }
    if (fresh.length > 0) waited.push(this.#fetch(fresh));
    await Promise.all(waited);
  }

  /** The same ahead of time: what goes wrong is told to whoever needs them. */
  expect(digests: Iterable<Digest>): void {
    this.bring(digests).catch(() => {});
  }

  #fetch(digests: readonly Digest[]): Promise<void> {
    const fetched = this.#ask(digests);
    for (const digest of digests) this.#coming.set(digest, fetched);
    fetched.catch(() => {
      for (const digest of digests) if (this.#coming.get(digest) === fetched) this.#coming.delete(digest);
    });
    return fetched;
  }

  async #ask(digests: readonly Digest[]): Promise<void> {
    const { grants, signal } = this.#options;
    const missing = [...(await grants.missing(digests, signal))];
    const batches: Promise<void>[] = [];
    for (let at = 0; at < missing.length; at += BATCH)
      batches.push(this.#limit(() => this.#send(missing.slice(at, at + BATCH))));
    await Promise.allSettled(batches);
    await Promise.all(batches);
  }

  async #send(digests: readonly Digest[]): Promise<void> {
    const { grants, session, onSent, signal } = this.#options;
    signal.throwIfAborted();
    await session.files(digests, signal);
    const [lacking] = await grants.missing(digests, signal);
    if (lacking !== undefined)
      throw new KilnError('CONTEXT_INVALID', `the client did not send ${lacking} of the context`, {
        hint: 'build again; if it stays, look at the farm’s log',
      });
    for (const digest of digests) onSent(this.#sizes.get(digest) ?? 0);
  }

  async *#get(digest: Digest, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    await this.bring([digest]);
    const size = this.#sizes.get(digest);
    let read = 0;
    const { near } = this.#options;
    try {
      for await (const chunk of near.get(digest, signal)) {
        read += chunk.byteLength;
        yield chunk;
      }
    } catch (thrown) {
      // Lost behind the index: the client may have it still.
      if (read > 0 || !isKilnError(thrown, 'BLOB_MISSING')) throw thrown;
      await this.#send([digest]);
      for await (const chunk of near.get(digest, signal)) {
        read += chunk.byteLength;
        yield chunk;
      }
    }
    if (read !== size)
      throw new KilnError(
        'CONTEXT_INVALID',
        `the context’s manifest says that ${digest} has ${size} bytes, not ${read}`,
      );
  }
}

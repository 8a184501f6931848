import { type Digest, Hasher } from '#oci';
import { type Bytes, type Clock, isKilnError, KilnError, retry } from '#std';
import type { ContentStore } from './store.ts';

/** Forwards everything; a decorator overrides what it changes. */
export function delegate(store: ContentStore): ContentStore {
  return {
    get: (digest, signal) => store.get(digest, signal),
    put: (source, expected, signal) => store.put(source, expected, signal),
    findMissing: (digests, signal) => store.findMissing(digests, signal),
    list: (signal) => store.list(signal),
    remove: (digests, signal) => store.remove(digests, signal),
    sweepTemporary: (beforeMs, signal) => store.sweepTemporary(beforeMs, signal),
  };
}

/** Reads from `near` and fills it from `far`, so that a blob crosses the wire once; all else is `far`'s. */
export function readThrough(near: ContentStore, far: ContentStore): ContentStore {
  return {
    ...delegate(far),
    async *get(digest, signal) {
      const absent = (await near.findMissing(new Set([digest]), signal)).has(digest);
      if (absent) await near.put(far.get(digest, signal), digest, signal);
      yield* near.get(digest, signal);
    },
    async remove(digests, signal) {
      await near.remove(digests, signal);
      await far.remove(digests, signal);
    },
    sweepTemporary: async (beforeMs, signal) =>
      (await near.sweepTemporary(beforeMs, signal)) + (await far.sweepTemporary(beforeMs, signal)),
  };
}

/**
 * Bytes as they pass, failing at their end when they are not those of the digest.
 * @throws KilnError BLOB_CORRUPT
 */
export async function* verify(source: Bytes, digest: Digest): Bytes {
  const hasher = new Hasher();
  for await (const chunk of source) {
    hasher.update(chunk);
    yield chunk;
  }
  const found = hasher.digest();
  if (found !== digest) throw new KilnError('BLOB_CORRUPT', `the bytes of ${digest} are those of ${found}`);
}

/** For a store that does not verify what it gives: verifies, and leaves what is damaged where it is. */
export function verifying(store: ContentStore): ContentStore {
  return { ...delegate(store), get: (digest, signal) => verify(store.get(digest, signal), digest) };
}

/** For a store that does not verify what it gives (S3): verifies, and removes what is damaged. */
export function verified(store: ContentStore): ContentStore {
  return {
    ...delegate(store),
    async *get(digest, signal) {
      try {
        yield* verify(store.get(digest, signal), digest);
      } catch (thrown) {
        if (isKilnError(thrown, 'BLOB_CORRUPT')) await store.remove(new Set([digest]), signal);
        throw thrown;
      }
    },
  };
}

export interface RetryingOptions {
  readonly clock: Clock;
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * Asks an unavailable store again, with growing pauses. A `get` is begun again only before its first byte, a `put` never:
 * its source can be read once.
 */
export function retrying(store: ContentStore, options: RetryingOptions): ContentStore {
  const again = <T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> =>
    retry({ ...options, signal, retryable: (thrown) => isKilnError(thrown, 'UPSTREAM_UNAVAILABLE') }, work);
  return {
    ...delegate(store),
    async *get(digest, signal) {
      const { stream, first } = await again(signal, async () => {
        const begun = store.get(digest, signal)[Symbol.asyncIterator]();
        return { stream: begun, first: await begun.next() };
      });
      try {
        for (let next = first; next.done !== true; next = await stream.next()) yield next.value;
      } finally {
        await stream.return?.();
      }
    },
    findMissing: (digests, signal) => again(signal, () => store.findMissing(digests, signal)),
    remove: (digests, signal) => again(signal, () => store.remove(digests, signal)),
  };
}

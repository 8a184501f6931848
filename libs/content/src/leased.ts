import type { Digest } from '#oci';
import { KilnError, release } from '#std';
import { delegate } from './decorators.ts';
import type { ContentStore } from './store.ts';

/**
 * Keeps blobs from collection. @returns those that had been taken out of use: what was put before this call may be gone
 */
export type Retain = (digests: readonly Digest[]) => Promise<ReadonlySet<Digest>>;

/**
 * A store as one build uses it: what the build puts, and what it is told to be there, stays until the build ends.
 * What is only read has been retained otherwise.
 * @param onCollected told of a blob that was put and is gone all the same; the put fails then
 */
export function leased(
  store: ContentStore,
  retain: Retain,
  onCollected: (digest: Digest) => void = () => undefined,
): ContentStore {
  const keep = joined(retain);
  return {
    ...delegate(store),
    async put(source, expected, signal) {
      // Before: what a put finds to be there then stays there.
      if (expected !== undefined) {
        try {
          await keep([expected]);
        } catch (thrown) {
          await release(source);
          throw thrown;
        }
      }
      const info = await store.put(source, expected, signal);
      if (expected !== undefined) return info;
      const doubtful = await keep([info.digest]);
      if (doubtful.size > 0 && (await store.findMissing(doubtful, signal)).size > 0) {
        onCollected(info.digest);
        throw new KilnError('BLOB_MISSING', `blob ${info.digest} was collected while it was put`);
      }
      return info;
    },
    async findMissing(digests, signal) {
      await keep([...digests]);
      return await store.findMissing(digests, signal);
    },
  };
}

/** Each blob once; those that are asked for while a question is under way go together in the next. */
function joined(retain: Retain): Retain {
  const retained = new Set<Digest>();
  let waiting: { readonly digests: Set<Digest>; readonly answer: Promise<ReadonlySet<Digest>> } | undefined;
  let last: Promise<unknown> = Promise.resolve();
  return async (digests) => {
    const fresh = digests.filter((digest) => !retained.has(digest));
    if (fresh.length === 0) return new Set();
    if (waiting === undefined) {
      const batch = new Set<Digest>();
      const answer = last.then(() => {
        waiting = undefined;
        return retain([...batch]);
      });
      last = answer.catch(() => undefined);
      waiting = { digests: batch, answer };
    }
    for (const digest of fresh) waiting.digests.add(digest);
    const doubtful = await waiting.answer;
    for (const digest of fresh) retained.add(digest);
    return doubtful;
  };
}

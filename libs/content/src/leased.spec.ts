import { type Digest, digestOf } from '#oci';
import { isKilnError, single } from '#std';
import { MemoryContentStore } from '#testing';
import { describe, expect, it } from 'vitest';
import { contentStoreContract } from './content.contract.ts';
import { leased } from './leased.ts';

const text = 'some bytes';
const digest = digestOf(text);

contentStoreContract('a leased store', async () => {
  const inner = new MemoryContentStore();
  return {
    store: leased(inner, async () => new Set()),
    damage: async (damaged) => inner.damage(damaged),
  };
});

describe('a leased store', () => {
  it('retains what is put before it looks whether it is there', async () => {
    const inner = new MemoryContentStore();
    await inner.put(single(text));
    // The collector comes first; from then on it is kept away.
    const store = leased(inner, async (digests) => {
      await inner.remove(new Set(digests));
      return new Set(digests);
    });
    await store.put(single(text), digest);
    expect(await inner.findMissing(new Set([digest]))).toEqual(new Set());
  });

  it('retains what it is asked for before it answers', async () => {
    const inner = new MemoryContentStore();
    await inner.put(single(text));
    const store = leased(inner, async (digests) => {
      await inner.remove(new Set(digests));
      return new Set(digests);
    });
    expect(await store.findMissing(new Set([digest]))).toEqual(new Set([digest]));
  });

  it('says so when what nobody knew the digest of was collected while it was put', async () => {
    const inner = new MemoryContentStore();
    const store = leased(inner, async (digests) => {
      await inner.remove(new Set(digests));
      return new Set(digests);
    });
    await expect(store.put(single(text))).rejects.toSatisfy((thrown) => isKilnError(thrown, 'BLOB_MISSING'));
    const kept = leased(new MemoryContentStore(), async (digests) => new Set(digests));
    expect((await kept.put(single(text))).digest).toBe(digest);
  });

  it('asks once for each, and together for those that come meanwhile', async () => {
    const asked: (readonly Digest[])[] = [];
    const gate = Promise.withResolvers<void>();
    const store = leased(new MemoryContentStore(), async (digests) => {
      asked.push(digests);
      if (asked.length === 1) await gate.promise;
      return new Set();
    });
    const put = (each: string) => store.put(single(each), digestOf(each));
    const first = put('a');
    await new Promise(setImmediate);
    const others = [put('b'), put('c'), put('b')];
    gate.resolve();
    await Promise.all([first, ...others]);
    await put('a');
    await store.findMissing(new Set([digestOf('a'), digestOf('c')]));
    expect(asked).toEqual([[digestOf('a')], [digestOf('b'), digestOf('c')]]);
  });

  it('frees a source that it does not read', async () => {
    const store = leased(new MemoryContentStore(), () => Promise.reject(new Error('no database')));
    let freed = false;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: true as const, value: undefined }),
        return: () => {
          freed = true;
          return Promise.resolve({ done: true as const, value: undefined });
        },
      }),
    };
    await expect(store.put(source, digest)).rejects.toThrow('no database');
    expect(freed).toBe(true);
  });
});

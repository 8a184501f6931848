import { type Digest, digestOf } from '#oci';
import { type Bytes, type Clock, collect, KilnError, single } from '#std';
import { MemoryContentStore } from '#testing';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { contentStoreContract } from './content.contract.ts';
import { delegate, readThrough, retrying, verified } from './decorators.ts';
import { readJson } from './read-json.ts';
import type { ContentStore } from './store.ts';

class PatientClock implements Clock {
  readonly pausesMs: number[] = [];
  nowMs(): number {
    return 0;
  }
  async sleep(ms: number): Promise<void> {
    this.pausesMs.push(ms);
  }
}
const retryOptions = { attempts: 3, firstDelayMs: 10, maxDelayMs: 1000 };

contentStoreContract('MemoryContentStore', async () => {
  const store = new MemoryContentStore();
  return { store, damage: async (digest) => store.damage(digest) };
});
contentStoreContract('delegate', async () => {
  const store = new MemoryContentStore();
  return { store: delegate(store), damage: async (digest) => store.damage(digest) };
});
contentStoreContract('readThrough', async () => {
  const far = new MemoryContentStore();
  return { store: readThrough(new MemoryContentStore(), far), damage: async (digest) => far.damage(digest) };
});
contentStoreContract('retrying', async () => {
  const store = new MemoryContentStore();
  return {
    store: retrying(store, { ...retryOptions, clock: new PatientClock() }),
    damage: async (digest) => store.damage(digest),
  };
});

/** A store that gives whatever it has, as an object store does. */
class Trusting extends MemoryContentStore {
  readonly raw = new Map<Digest, Uint8Array>();
  override async *get(digest: Digest, signal?: AbortSignal): Bytes {
    const raw = this.raw.get(digest);
    if (raw === undefined) yield* super.get(digest, signal);
    else yield raw;
  }
  override async remove(digests: ReadonlySet<Digest>, signal?: AbortSignal): Promise<void> {
    for (const digest of digests) this.raw.delete(digest);
    await super.remove(digests, signal);
  }
}
contentStoreContract('verified', async () => {
  const store = new Trusting();
  return { store: verified(store), damage: async (digest) => void store.raw.set(digest, Buffer.from('damage')) };
});

describe('readThrough', () => {
  it('asks the far store once', async () => {
    const far = new MemoryContentStore();
    const { digest } = await far.put(single('far away'));
    let asked = 0;
    const counted: ContentStore = {
      ...delegate(far),
      get: (wanted, signal) => {
        asked++;
        return far.get(wanted, signal);
      },
    };
    const near = new MemoryContentStore();
    const store = readThrough(near, counted);
    for (let round = 0; round < 3; round++) expect(String(await collect(store.get(digest), 100))).toBe('far away');
    expect(asked).toBe(1);
    expect(near.digests()).toEqual([digest]);
  });

  it('keeps no damage from the far store', async () => {
    const far = new MemoryContentStore();
    const { digest } = await far.put(single('far away'));
    far.damage(digest);
    const near = new MemoryContentStore();
    await expect(collect(readThrough(near, far).get(digest), 100)).rejects.toThrow(
      expect.objectContaining({ code: 'BLOB_CORRUPT' }),
    );
    expect(near.digests()).toEqual([]);
  });
});

describe('retrying', () => {
  /** Fails `failures` times before it answers. */
  function unsteady(
    store: ContentStore,
    failures: number,
    code: 'UPSTREAM_UNAVAILABLE' | 'BLOB_MISSING',
  ): ContentStore {
    let left = failures;
    const fail = (): void => {
      if (left-- > 0) throw new KilnError(code, 'not now');
    };
    return {
      ...delegate(store),
      async *get(digest, signal) {
        fail();
        yield* store.get(digest, signal);
      },
      findMissing: async (digests, signal) => {
        fail();
        return store.findMissing(digests, signal);
      },
    };
  }

  it('asks again with growing pauses, and gives up in the end', async () => {
    const memory = new MemoryContentStore();
    const { digest } = await memory.put(single('x'));
    const clock = new PatientClock();
    const twice = retrying(unsteady(memory, 2, 'UPSTREAM_UNAVAILABLE'), { ...retryOptions, clock });
    expect(String(await collect(twice.get(digest), 10))).toBe('x');
    expect(clock.pausesMs).toEqual([10, 20]);
    const thrice = retrying(unsteady(memory, 3, 'UPSTREAM_UNAVAILABLE'), { ...retryOptions, clock });
    await expect(thrice.findMissing(new Set([digest]))).rejects.toThrow('not now');
  });

  it('does not ask again for what is not there', async () => {
    const clock = new PatientClock();
    const store = retrying(unsteady(new MemoryContentStore(), 1, 'BLOB_MISSING'), { ...retryOptions, clock });
    await expect(collect(store.get(digestOf('x')), 10)).rejects.toThrow('not now');
    expect(clock.pausesMs).toEqual([]);
  });
});

describe('readJson', () => {
  it('checks what it reads', async () => {
    const store = new MemoryContentStore();
    const { digest } = await store.put(single('{"a":1}'));
    expect(await readJson(store, digest, z.object({ a: z.int() }), 100)).toEqual({ a: 1 });
    await expect(readJson(store, digest, z.object({ a: z.string() }), 100)).rejects.toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
    await expect(readJson(store, digest, z.unknown(), 3)).rejects.toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    );
  });
});

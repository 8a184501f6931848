import { beforeEach, describe, expect, it } from 'vitest';
import { type Digest, digestOf } from '#oci';
import { type Bytes, single } from '#std';
import { MemoryContentStore } from '#testing';
import { SentMeter } from './sent-meter.ts';

let store: MemoryContentStore;
let counted: Map<Digest, number>;
beforeEach(() => {
  store = new MemoryContentStore();
  counted = new Map();
});

/** With room for so many bytes beside what counts already. */
const meterOf = (leftBytes: number, mostBytes = 1_000): SentMeter =>
  new SentMeter({
    store,
    mostBytes,
    room: { leftBytes, limitBytes: leftBytes },
    sent: async (digests) => Promise.resolve(new Set(digests.filter((digest) => counted.has(digest)))),
    has: async (digest) => Promise.resolve(counted.has(digest)),
    charge: async (blobs) => {
      for (const { digest, sizeBytes } of blobs) counted.set(digest, sizeBytes);
      return Promise.resolve();
    },
  });
const put = (meter: SentMeter, text: string) => meter.store.put(single(Buffer.from(text)));
const has = async (text: string): Promise<boolean> => (await store.findMissing(new Set([digestOf(text)]))).size === 0;
const refusal = { code: 'LIMIT_EXCEEDED' };
const text = (seed: string, bytes: number): string => seed.repeat(bytes);

describe('what a project may still send', () => {
  it('is taken up to the last byte, each blob once', async () => {
    const meter = meterOf(100);
    await put(meter, text('a', 60));
    await put(meter, text('a', 60));
    await put(meter, text('b', 40));
    await expect(put(meter, 'c')).rejects.toMatchObject(refusal);
    expect(await has('c')).toBe(false);
    await meter.settle();
    expect([...counted.values()]).toEqual([60, 40]);
  });

  it('leaves out what was sent before, and stores none of it that has no room', async () => {
    counted.set(digestOf(text('a', 60)), 60).set(digestOf(text('b', 200)), 200);
    const meter = meterOf(100);
    expect(await put(meter, text('a', 60))).toEqual({ digest: digestOf(text('a', 60)), sizeBytes: 60 });
    expect(await put(meter, text('b', 200))).toEqual({ digest: digestOf(text('b', 200)), sizeBytes: 200 });
    expect(await has(text('b', 200))).toBe(false);
    await put(meter, text('c', 100));
    await expect(put(meter, 'd')).rejects.toMatchObject(refusal);
  });

  it('is what it was after a file that broke off or had no room', async () => {
    const meter = meterOf(100);
    const broken = async function* (): Bytes {
      yield Buffer.from(text('a', 90));
      throw new Error('cut off');
    };
    await expect(meter.store.put(broken())).rejects.toThrow('cut off');
    await expect(put(meter, text('b', 101))).rejects.toMatchObject(refusal);
    await put(meter, text('c', 100));
  });

  it('counts for those that are put at once', async () => {
    for (const seed of 'abcd') counted.set(digestOf(text(seed, 30)), 30);
    const meter = meterOf(100);
    const all = await Promise.allSettled([...'abcdefgh'].map((seed) => put(meter, text(seed, 30))));
    expect(all.slice(0, 4).every(({ status }) => status === 'fulfilled')).toBe(true);
    await meter.settle();
    const sum = [...counted.values()].reduce((all, size) => all + size, 0);
    expect(sum).toBeLessThanOrEqual(120 + 100);
  });

  it('is charged as it comes, however many there are', async () => {
    const meter = meterOf(Number.POSITIVE_INFINITY);
    for (let at = 0; at < 5_001; at++) await put(meter, `${at}`);
    expect(counted.size).toBe(5_000);
    await meter.settle();
    expect(counted.size).toBe(5_001);
  });
});

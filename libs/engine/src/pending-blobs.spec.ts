import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '#oci';
import { collect, single } from '#std';
import { MemoryContentStore } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PendingBlobs } from './pending-blobs.ts';

describe('PendingBlobs', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'kiln-pending-'));
  });
  afterAll(() => rm(dir, { recursive: true }));

  const bytes = Buffer.alloc(200_000, 'layer');
  const digest = digestOf(bytes);
  async function made(name: string): Promise<string> {
    const file = join(dir, name);
    await writeFile(file, bytes);
    return file;
  }

  async function next(reader: AsyncIterator<Uint8Array>): Promise<number> {
    const { done, value } = (await reader.next()) as IteratorResult<Uint8Array, undefined>;
    return done === true ? 0 : value.byteLength;
  }

  it('are read before they are stored, though they are not there for others', async () => {
    const store = new MemoryContentStore();
    const pending = new PendingBlobs(store);
    const { content } = pending;
    await expect(collect(content.get(digest), 1e6)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
    pending.offer(digest, await made('a'));
    expect(Buffer.compare(await collect(content.get(digest), 1e6), bytes)).toBe(0);
    expect(await content.findMissing(new Set([digest]))).toEqual(new Set([digest]));
    await expect(collect(store.get(digest), 1e6)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
  });

  it('of two steps that made the same, one may go', async () => {
    const pending = new PendingBlobs(new MemoryContentStore());
    const [one, other] = [await made('one'), await made('other')];
    pending.offer(digest, one);
    pending.offer(digest, other);
    pending.withdraw(digest, one);
    await rm(one);
    expect((await collect(pending.content.get(digest), 1e6)).byteLength).toBe(bytes.byteLength);
    pending.withdraw(digest, other);
    await expect(collect(pending.content.get(digest), 1e6)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
  });

  it('go while they are read, and are found in the store', async () => {
    const store = new MemoryContentStore();
    const pending = new PendingBlobs(store);
    const file = await made('going');
    pending.offer(digest, file);
    const reader = pending.content.get(digest)[Symbol.asyncIterator]();
    let read = await next(reader);
    await store.put(single(bytes), digest);
    pending.withdraw(digest, file);
    await rm(file);
    for (let more = await next(reader); more > 0; more = await next(reader)) read += more;
    expect(read).toBe(bytes.byteLength);
    // As a reader has it that had looked it up a moment before.
    pending.offer(digest, file);
    expect((await collect(pending.content.get(digest), 1e6)).byteLength).toBe(bytes.byteLength);
  });
});

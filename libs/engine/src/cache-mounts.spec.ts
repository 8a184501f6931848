import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '#oci';
import { silentLogger, systemClock, systemRandom } from '#std';
import { MemoryContentStore } from '#testing';
import { CacheMounts, type CacheMountRequest, type CacheMountUse } from './cache-mounts.ts';

let dir: string;
let caches: CacheMounts;
const open = (more: { readonly maxBytes?: number; readonly lockWaitMs?: number } = {}): Promise<CacheMounts> =>
  CacheMounts.open({
    ...{
      dir,
      maxBytes: 2 ** 30,
      publishMaxBytes: 2 ** 30,
      content: new MemoryContentStore(),
      shift: { uid: 0, gid: 0 },
    },
    ...{ clock: systemClock, random: systemRandom, logger: silentLogger, ...more },
  });

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kiln-caches-'));
  caches = await open();
});
afterEach(async () => {
  await caches[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const request = (more: Partial<CacheMountRequest> = {}): CacheMountRequest => ({
  owner: 'project/scope',
  id: '/root/.npm',
  target: '/root/.npm',
  seed: undefined,
  mode: undefined,
  uid: undefined,
  gid: undefined,
  sharing: 'shared',
  ...more,
});

interface Used {
  readonly path: string;
  readonly end: () => Promise<void>;
}

async function use(more: Partial<CacheMountRequest> = {}, how: Partial<CacheMountUse> = {}): Promise<Used> {
  const signal = new AbortController().signal;
  const hold = await caches.acquire(request(more), { signal, fill: async () => {}, note: () => {}, ...how });
  return { path: hold.path, end: async () => hold[Symbol.asyncDispose]() };
}

describe('cache mounts', () => {
  it('are the same directory for the same request, over restarts too', async () => {
    const first = await use();
    await writeFile(join(first.path, 'x'), 'kept');
    await first.end();
    await caches[Symbol.asyncDispose]();
    caches = await open();
    expect(await readFile(join((await use()).path, 'x'), 'utf8')).toBe('kept');
  });

  it('are others for another owner, id, beginning, mode or user, and never lie outside', async () => {
    const changes: readonly Partial<CacheMountRequest>[] = [
      {},
      { owner: 'project/fork' },
      { id: '../../../etc' },
      { id: '/root/.npm/' },
      { seed: digestOf('stage') },
      { mode: 0o700 },
      { uid: 5 },
      { gid: 5 },
    ];
    const paths = await Promise.all(changes.map(async (change) => (await use(change)).path));
    expect(new Set(paths).size).toBe(changes.length);
    for (const path of paths) expect(path).toMatch(new RegExp(`^${dir}/c/[0-9a-f]{64}/\\d+/data$`));
  });

  it('shared: all at a time; private: a copy of its own while others are there', async () => {
    const [a, b] = await Promise.all([use(), use()]);
    expect(a.path).toBe(b.path);
    const own = await use({ sharing: 'private' });
    expect(own.path).not.toBe(a.path);
    const other = await use({ sharing: 'private' });
    expect(new Set([a.path, own.path, other.path]).size).toBe(3);
    await a.end();
    await b.end();
    expect((await use({ sharing: 'private' })).path).toBe(a.path);
  });

  it('locked: one after the other, in order', async () => {
    const order: string[] = [];
    const first = await use({ sharing: 'locked' });
    let waited = 0;
    const waiting = ['a', 'b', 'c'].map(async (name) => {
      const held = await use({ sharing: 'locked' }, { note: () => waited++ });
      order.push(name);
      expect(held.path).toBe(first.path);
      await held.end();
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([waited, order]).toEqual([3, []]);
    await first.end();
    await Promise.all(waiting);
    expect(order).toEqual(['a', 'b', 'c']);
  });

  it('locked: waits no longer than it may, and not for a build that was cancelled', async () => {
    await caches[Symbol.asyncDispose]();
    caches = await open({ lockWaitMs: 30 });
    const held = await use();
    await expect(use({ sharing: 'locked' })).rejects.toMatchObject({ code: 'STEP_FAILED' });
    const stop = new AbortController();
    const waiting = use({ sharing: 'locked' }, { signal: stop.signal });
    stop.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
    await held.end();
    await (await use({ sharing: 'locked' })).end();
  });

  it('one that could not be made is none; who waited for it makes it', async () => {
    const broken = use({}, { fill: () => Promise.reject(new Error('no room')) });
    const other = use({}, { fill: (data) => writeFile(join(data, 'made'), '') });
    await expect(broken).rejects.toThrow('no room');
    expect(await readdir((await other).path)).toEqual(['made']);
    expect(await readdir(join(dir, 'new'))).toEqual([]);
  });

  it('those used least recently go when there is no room, one in use never', async () => {
    await caches[Symbol.asyncDispose]();
    caches = await open({ maxBytes: 250_000 });
    const fill = (data: string): Promise<void> => writeFile(join(data, 'x'), Buffer.alloc(100_000, 'x'));
    const used = await use({ id: 'used' }, { fill });
    const idle = await use({ id: 'idle' }, { fill });
    await idle.end();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const late = await use({ id: 'late' }, { fill });
    await late.end();
    await caches[Symbol.asyncDispose]();
    // What is in use has not been counted yet.
    expect(await readdir(late.path)).toEqual(['x']);
    await used.end();
    await caches[Symbol.asyncDispose]();
    await expect(readdir(idle.path)).rejects.toThrow('ENOENT');
    expect(await readdir(late.path)).toEqual(['x']);
    expect(await readdir(used.path)).toEqual(['x']);
  });
});

import type { CacheKey, OpKey, Result } from '#cache';
import { digestOf } from '#oci';
import { createCacheStore } from '#storage';
import { flushRedis } from '#testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { cacheStoreContract } from '../../libs/cache/src/cache-store.contract.ts';
import { claimBuild, startStorage, type Storage } from './farm.ts';

async function open(storage: Storage, project: string, scope: string) {
  const claim = await claimBuild(storage, 'one', project, scope);
  const store = createCacheStore({ db: storage.db, redis: storage.link, claim });
  return { store, claim };
}

describe('PostgresCacheStore', () => {
  cacheStoreContract(async () => {
    const storage = await startStorage();
    return {
      async build(project, scope) {
        const { store, claim } = await open(storage, project, scope);
        return {
          store,
          async lose() {
            await storage.db.execute("UPDATE builds SET fence = nextval('build_fences') WHERE id = $1", [
              claim.buildId,
            ]);
          },
        };
      },
      [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
    };
  });
});

describe('the hot copy in Redis', () => {
  let storage: Storage;
  beforeAll(async () => {
    storage = await startStorage();
  });
  afterAll(() => storage[Symbol.asyncDispose]());

  const key = digestOf('key') as CacheKey;
  const saved = (name: string): Result => ({
    id: digestOf(name) as Result['id'],
    parents: [],
    layers: [],
    tree: digestOf('tree'),
    empty: true,
    costMs: 1,
    startedAtMs: 1,
    finishedAtMs: 2,
    producer: { buildId: 'b', builderId: 'n', scope: 'main' },
  });
  const explained = { key, kind: 'definition' as const, op: digestOf('op') as never, preimage: {} };

  it('may be flushed, damaged or away: answers stay the same', async () => {
    const { store } = await open(storage, 'hot', 'main');
    await store.save([explained], saved('x'), 1);
    const answer = await store.lookup([key], []);
    expect(answer.records.get(key)).toHaveLength(1);
    expect(await store.lookup([key], [])).toEqual(answer);
    await flushRedis(storage.redis);
    expect(await store.lookup([key], [])).toEqual(answer);
    const { version, project } = await soleResult(storage);
    await storage.link.setMany(new Map([[`result:${project}:${version}`, '{"id":1}']]), 60);
    expect(await store.lookup([key], [])).toEqual(answer);
    await storage.redis.stop();
    expect(await store.lookup([key], [])).toEqual(answer);
    await store.save([explained], saved('y'), 1);
    expect((await store.lookup([key], [])).records.get(key)).toHaveLength(2);
    await storage.redis.start();
    await vi.waitFor(() => storage.link.ping(), { timeout: 10_000 });
    expect((await store.lookup([key], [])).records.get(key)).toHaveLength(2);
  });

  it('is used: what Postgres would answer is not asked again', async () => {
    const { store, claim } = await open(storage, 'warm', 'main');
    await store.save([explained], saved('z'), 1);
    await store.lookup([key], []);
    // Nothing ever changes a result; here it shows where the body came from.
    await storage.db.execute('UPDATE results SET cost_ms = 77 WHERE project_id = $1', [claim.projectId]);
    expect((await store.lookup([key], [])).records.get(key)?.[0]?.result.costMs).toBe(1);
    await flushRedis(storage.redis);
    expect((await store.lookup([key], [])).records.get(key)?.[0]?.result.costMs).toBe(77);
  });
});

async function soleResult({ db }: Storage): Promise<{ version: string; project: string }> {
  const { z } = await import('zod');
  const [row] = await db.query(
    z.object({ version: z.string(), project: z.string() }),
    'SELECT version::text, project_id AS project FROM results LIMIT 1',
  );
  if (row === undefined) throw new Error('no result');
  return row;
}

describe('what is taken back', () => {
  it('leaves a note of when and why, which a later end replaces', async () => {
    await using storage = await startStorage();
    const { store, claim } = await open(storage, 'ends', 'main');
    const blob = { mediaType: 'application/test', digest: digestOf('layer'), size: 1 };
    const layers = [{ descriptor: blob, diffId: digestOf('diff'), delta: blob }];
    const result: Result = {
      ...{ id: digestOf('r') as Result['id'], parents: [], layers, tree: digestOf('tree'), empty: false, costMs: 1 },
      ...{ startedAtMs: 1, finishedAtMs: 2, producer: { buildId: 'b', builderId: 'n', scope: 'main' } },
    };
    const key = digestOf('gone') as CacheKey;
    const explained = { key, kind: 'definition' as const, op: digestOf('op of it') as OpKey, preimage: {} };
    for (const _ of [1, 2]) {
      await store.save([explained], result, 1);
      await store.forget(new Set([blob.digest]));
    }
    const row = z.object({ key: z.string(), op: z.string(), reason: z.string(), scope_id: z.string() });
    expect(await storage.db.query(row, 'SELECT key, op, reason, scope_id FROM record_tombstones')).toEqual([
      { key, op: explained.op, reason: 'lost', scope_id: claim.scopes[0].id },
    ]);
  });
});

import type { CacheKey, Result } from '#cache';
import { digestOf } from '#oci';
import {
  CacheDisowned,
  CacheGrowth,
  CachePruned,
  CacheReruns,
  CacheSeries,
  CacheStatistics,
  DearMisses,
  CacheUsage,
} from '#protocol';
import { createCacheStore, openRedis } from '#storage';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimed, type Farm, startFarm, submitted, succeeded } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());

const get = (path: string, token = farm.tokens.reader) =>
  request(farm.url).get(path).set('authorization', `Bearer ${token}`);
const post = (path: string, body: object, token = farm.tokens.mine) =>
  request(farm.url).post(path).set('authorization', `Bearer ${token}`).send(body);

/** A build that has recorded one result. */
async function recorded(name: string): Promise<string> {
  await using redis = openRedis({ url: farm.redis.url });
  const id = await submitted(farm);
  const claim = await claimed(farm, id);
  const store = createCacheStore({ db: farm.db, redis, claim });
  const result: Result = {
    id: digestOf(name) as Result['id'],
    ...{ parents: [], layers: [], tree: digestOf('tree'), empty: true, costMs: 1, startedAtMs: 1, finishedAtMs: 2 },
    producer: { buildId: id, builderId: 'n', scope: 'main' },
  };
  const key = digestOf(`key of ${name}`) as CacheKey;
  await store.save([{ key, kind: 'definition', op: digestOf('op') as never, preimage: {} }], result, 1);
  await succeeded(farm, claim);
  return id;
}

const resultsOf = async (token: string): Promise<number> => {
  const { scopes } = CacheUsage.parse((await get('/v1/cache/usage', token)).body);
  return scopes.reduce((sum, { results }) => sum + results, 0);
};

describe('usage', () => {
  it('is of the caller’s project', async () => {
    await recorded('used');
    expect(await resultsOf(farm.tokens.mine)).toBeGreaterThan(0);
    expect(await resultsOf(farm.tokens.other)).toBe(0);
    expect((await get('/v1/cache/usage', 'kiln_nope')).status).toBe(401);
    const { days, quotaBytes } = CacheGrowth.parse((await get('/v1/cache/growth?days=3')).body);
    const usage = CacheUsage.parse((await get('/v1/cache/usage')).body);
    expect([days.length, quotaBytes]).toEqual([3, usage.quotaBytes]);
    const theirs = CacheGrowth.parse((await get('/v1/cache/growth?days=1', farm.tokens.other)).body);
    expect(theirs).toMatchObject({ project: 'other', total: { evicted: { results: 0 } } });
    expect((await get('/v1/cache/growth?days=0')).body).toMatchObject({ status: 400, field: 'days' });
  });
});

describe('disowning', () => {
  it('is told first, then done, of results of the project alone', async () => {
    const buildId = await recorded('wrong');
    const theirs = await post('/v1/cache/disown', { buildId }, farm.tokens.other);
    const absent = await post('/v1/cache/disown', { buildId: 'nothing' }, farm.tokens.other);
    expect([theirs.status, absent.status]).toEqual([404, 404]);
    expect(JSON.stringify(theirs.body).replaceAll(buildId, 'nothing')).toBe(JSON.stringify(absent.body));
    const id = digestOf('wrong');
    for (const dryRun of [true, true, false]) {
      const answer = await post('/v1/cache/disown', { buildId, dryRun });
      expect(answer.status).toBe(200);
      expect(CacheDisowned.parse(answer.body).results).toMatchObject([{ id, buildId, scope: 'main' }]);
    }
    expect((await post('/v1/cache/disown', { buildId })).status).toBe(404);
  });

  it('needs to know of what', async () => {
    for (const [field, body] of [
      ['buildId', {}],
      ['buildId', { buildId: '' }],
      ['vertex', { buildId: 'b', vertex: 'sha256:1' }],
      ['reason', { buildId: 'b', reason: '' }],
      [undefined, { buildId: 'b', everything: true }],
    ] as const) {
      const answer = await post('/v1/cache/disown', body);
      expect([answer.status, answer.body]).toMatchObject([400, { code: 'INVALID_ARGUMENT', ...(field && { field }) }]);
    }
    expect((await post('/v1/cache/disown', { buildId: 'b' }, farm.tokens.reader)).status).toBe(403);
  });
});

describe('pruning', () => {
  it('is told first, then done, in the project alone', async () => {
    await recorded('old');
    const before = await resultsOf(farm.tokens.mine);
    const told = CachePruned.parse((await post('/v1/cache/prune', { dryRun: true })).body);
    expect(told.results.length).toBe(before);
    expect(CachePruned.parse((await post('/v1/cache/prune', {}, farm.tokens.other)).body).results).toEqual([]);
    expect(await resultsOf(farm.tokens.mine)).toBe(before);
    const kept = CachePruned.parse((await post('/v1/cache/prune', { unusedMs: 3_600_000 })).body);
    expect(kept.results).toEqual([]);
    expect(CachePruned.parse((await post('/v1/cache/prune', {})).body).results.length).toBe(before);
    expect(await resultsOf(farm.tokens.mine)).toBe(0);
  });

  it.each([{ unusedMs: -1 }, { keepStorageBytes: 'all' }, { dryRun: 1 }, { unusedMs: 1e300 }])(
    'refuses %j',
    async (body) => {
      const answer = await post('/v1/cache/prune', body);
      expect([answer.status, answer.body]).toMatchObject([400, { field: Object.keys(body)[0] }]);
      expect((await post('/v1/cache/prune', {}, farm.tokens.reader)).status).toBe(403);
    },
  );
});

describe('statistics', () => {
  it('count the builds of the project', async () => {
    await recorded('counted');
    const mine = CacheStatistics.parse((await get('/v1/cache/statistics?days=1&by=scope')).body);
    expect(mine).toMatchObject({ project: 'mine', by: 'scope' });
    expect(mine.builds).toBeGreaterThan(0);
    const other = CacheStatistics.parse((await get('/v1/cache/statistics', farm.tokens.other)).body);
    expect(other).toMatchObject({ project: 'other', builds: 0, groups: [], by: 'day' });
    expect(JSON.stringify(other)).not.toContain('mine');
    expect((await get('/v1/cache/statistics', 'kiln_nope')).status).toBe(401);
    const series = CacheSeries.parse((await get('/v1/cache/statistics/series?days=1&by=scope')).body);
    expect(series).toMatchObject({ project: 'mine', since: series.until, total: mine.total, others: null });
    expect(series.groups.map(({ name }) => name)).toEqual(mine.groups.map(({ name }) => name));
    const theirs = CacheSeries.parse((await get('/v1/cache/statistics/series', farm.tokens.other)).body);
    expect(theirs).toMatchObject({ project: 'other', by: 'branch', groups: [], days: [] });
    expect((await get('/v1/cache/statistics/series?by=day')).body).toMatchObject({ status: 400, field: 'by' });
    expect((await get('/v1/cache/statistics/series?limit=13')).body).toMatchObject({ status: 400, field: 'limit' });
    const dear = DearMisses.parse((await get('/v1/cache/misses')).body);
    expect(dear.project).toBe('mine');
    const others = DearMisses.parse((await get('/v1/cache/misses', farm.tokens.other)).body);
    expect(others).toMatchObject({ project: 'other', misses: [] });
    const again = CacheReruns.parse((await get('/v1/cache/reruns')).body);
    expect(again).toMatchObject({ project: 'mine', total: { different: 0 } });
    expect((await get('/v1/cache/reruns?limit=101')).body).toMatchObject({ status: 400, field: 'limit' });
    expect((await get('/v1/cache/misses?limit=51')).body).toMatchObject({ status: 400, field: 'limit' });
  });

  it.each([
    ['days', 'days=0'],
    ['days', 'days=401'],
    ['by', 'by=week'],
    ['limit', 'limit=1001'],
    ['scope', 'scope='],
  ])('refuse a wrong %s: %s', async (field, query) => {
    expect((await get(`/v1/cache/statistics?${query}`)).body).toMatchObject({ status: 400, field });
  });
});

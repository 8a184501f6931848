import { Worker } from 'bullmq';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUILD_QUEUE, workerName, workerOptions } from '#dispatch';
import { BuildJob, BuildList, BuildView } from '#protocol';
import { BuildLedger, openRedis, ProjectStore, TokenStore } from '#storage';
import { type Farm, startFarm } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());

const commit = (digit: string): string => digit.repeat(40);
/** Nothing has to be sent. */
const elsewhere = { type: 'http', url: 'https://files.example/context.tar' };
const post = (token: string, asked: object) =>
  request(farm.url)
    .post('/v1/builds')
    .set('authorization', `Bearer ${token}`)
    .send({ request: { contexts: { context: elsewhere }, ...asked } });

async function submit(token: string, asked: object = {}): Promise<BuildView> {
  const answer = await post(token, asked);
  expect([answer.status, answer.body]).toEqual([202, expect.anything()]);
  return BuildView.parse(answer.body);
}

async function found(query: string): Promise<readonly string[]> {
  const answer = await request(farm.url).get(`/v1/builds?${query}`).set('authorization', `Bearer ${farm.tokens.mine}`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return BuildList.parse(answer.body).builds.map(({ id }) => id);
}

describe('what a build is of', () => {
  it('is shown, and builds are found by it', async () => {
    const source = { branch: 'feature/x', commit: commit('ab').slice(0, 40), author: 'An Author', message: 'more' };
    const { id, request: stored } = await submit(farm.tokens.mine, { source });
    const other = await submit(farm.tokens.mine, { source: { branch: 'main', commit: commit('c') } });
    await submit(farm.tokens.other, { source });
    expect(stored.source).toEqual(source);
    expect(await found('branch=feature/x')).toEqual([id]);
    expect(await found('branch=feature/x&branch=main')).toEqual([other.id, id]);
    expect(await found('commit=abab')).toEqual([id]);
    expect(await found(`commit=${commit('c')}`)).toEqual([other.id]);
    expect(await found('author=An%20Author')).toEqual([id]);
    expect(await found('branch=feature')).toEqual([]);
  });

  it.each([
    [{ commit: 'HEAD' }, 'source.commit'],
    [{ repository: 'https://user:secret@git.example/x' }, 'source.repository'],
    [{ url: 'javascript:alert(1)' }, 'source.url'],
    [{ name: 'x' }, 'source.name'],
  ])('has to make sense: %j', async (source, field) => {
    const answer = await post(farm.tokens.mine, { source });
    expect(answer.body).toMatchObject({ status: 400, field: `request.${field}` });
  });
});

describe('a build that supersedes', () => {
  it('has to say of what', async () => {
    for (const [source, field] of [
      [{ commit: commit('a') }, 'source.branch'],
      [{ branch: 'main' }, 'source.commit'],
    ] as const) {
      const answer = await post(farm.tokens.mine, { supersede: true, source });
      expect(answer.body).toMatchObject({ status: 400, code: 'INVALID_ARGUMENT', field });
    }
  });

  it('ends those that wait, which tell by whom', async () => {
    const source = { branch: 'topic', commit: commit('a') };
    const old = await submit(farm.tokens.mine, { source });
    const next = await submit(farm.tokens.mine, { supersede: true, source: { ...source, commit: commit('b') } });
    const asked = request(farm.url).get(`/v1/builds/${old.id}`).set('authorization', `Bearer ${farm.tokens.mine}`);
    expect((await asked).body).toMatchObject({ state: 'cancelled', supersededBy: next.id });
    const log = request(farm.url).get(`/v1/builds/${old.id}/logs`).set('authorization', `Bearer ${farm.tokens.mine}`);
    expect((await log).text).toContain(`superseded by the build ${next.id}`);
  });
});

describe('builds of many projects', () => {
  it('go in turns, and none is lost', async () => {
    const [projects, each] = [20, 10];
    const stores = { projects: new ProjectStore(farm.db), tokens: new TokenStore(farm.db) };
    const owners = new Map<string, number>();
    const tokens: string[] = [];
    for (let index = 0; index < projects; index++) {
      const ids = await stores.projects.ensure(`crowd-${index}`, 'main');
      tokens.push(await stores.tokens.create({ ...ids, permissions: ['build', 'read'] }));
    }
    // The first sends all of its own before anybody else comes.
    await farm.db.execute("UPDATE builds SET state = 'cancelled' WHERE state = 'queued'");
    for (const [index, token] of tokens.entries())
      for (let count = 0; count < each; count++) owners.set((await submit(token)).id, index);
    await using link = openRedis({ url: farm.redis.url });
    const ledger = new BuildLedger({ db: farm.db, redis: link });
    const order: number[] = [];
    const done = Promise.withResolvers<void>();
    const worker = new Worker(
      BUILD_QUEUE,
      async ({ data }) => {
        const { buildId, attempt } = BuildJob.parse(data);
        const claim = await ledger.claim(buildId, attempt, 'one');
        if (claim === null) return;
        order.push(owners.get(claim.buildId) ?? -1);
        await ledger.finish(claim, {
          type: 'failed',
          atMs: 1,
          failure: { code: 'STEP_FAILED', message: 'exit code: 1' },
        });
        if (order.length === owners.size) done.resolve();
      },
      workerOptions(farm.redis.url, 1, workerName('one', 'test')),
    );
    worker.on('error', done.reject);
    await done.promise;
    await worker.close();
    // In every round one of each.
    for (let round = 0; round < each; round++)
      expect(new Set(order.slice(round * projects, (round + 1) * projects)).size).toBe(projects);
    const left = await farm.db.execute("SELECT 1 FROM builds WHERE state = 'queued'");
    expect(left).toBe(0);
  });
});

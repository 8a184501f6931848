import type { CacheKey, OpKey, Result } from '#cache';
import { digestOf } from '#oci';
import type { BuildEvent, CacheRerunsQuery, CacheStatisticsQuery } from '#protocol';
import { type Claim, createCacheStore, RerunStore, StatisticsReader } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimBuild, goSilent, startStorage, type Storage } from './farm.ts';

let storage: Storage;
beforeAll(async () => {
  storage = await startStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());

const names = ['[build 1/3] FROM box:1', '[build  2/3] RUN make', '[build  3/3] RUN test'];
const vertices = names.map((name, index) => ({
  vertex: digestOf(name),
  name,
  stage: 'build',
  line: index + 1,
  step: index > 0,
  inputs: [],
}));
const planned: BuildEvent = { type: 'planned', atMs: 1, vertices };
const of = (index: number) => ({ atMs: 2, vertex: digestOf(names[index] ?? '') });
const hit = {
  key: 'definition',
  buildId: 'b',
  builderId: 'n',
  scope: 'main',
  savedMs: 1_500,
  savedBytes: 70,
} as const;
const ran = (index: number, cause: unknown): BuildEvent =>
  ({ type: 'vertexDone', ...of(index), outcome: 'run', durationMs: 400, miss: 'why', cause }) as BuildEvent;
const found = (index: number): BuildEvent => ({ type: 'vertexDone', ...of(index), outcome: 'hit', durationMs: 0, hit });
const files = { kind: 'changed', changes: [{ kind: 'files', source: 'context', total: 1, files: [] }] };
const step = { vertex: digestOf(names[1] ?? ''), name: names[1] ?? '', line: 2 };
const image = { digest: digestOf('i') };

async function build(project: string, events: readonly BuildEvent[], scope = 'main'): Promise<Claim> {
  const claim = await claimBuild(storage, 'one', project, scope);
  await storage.ledger.append(claim, [planned, ...events]);
  return claim;
}

const succeed = (claim: Claim) =>
  storage.ledger.finish(claim, { type: 'cancelled', atMs: 9, reason: 'test' }).then(() => image);

async function read(project: string, query: Partial<CacheStatisticsQuery> = {}) {
  const { projectId } = await storage.projects.ensure(project, 'main');
  const asked = { days: 7, by: 'step', limit: 20, ...query } as const;
  return await new StatisticsReader(storage.db).read({ projectId, project }, asked);
}

describe('statistics', () => {
  it('count each step of each build once, when it ends', async () => {
    const first = await build('sums', [ran(1, files), ran(2, { kind: 'followed', step, cause: files })]);
    expect((await read('sums')).builds).toBe(0);
    await succeed(first);
    await succeed(await build('sums', [found(1), ran(2, { kind: 'neverBuilt' })], 'pr'));
    const all = await read('sums');
    expect(all).toMatchObject({
      builds: 2,
      cachedBuilds: 0,
      total: { hits: 1, joined: 0, misses: 3, followed: 1, savedMs: 1_500, savedBytes: 70, spentMs: 1_200 },
      more: false,
    });
    // Where a step stands does not matter.
    expect(all.groups.map(({ name, misses }) => [name, misses])).toEqual([
      ['[build] RUN test', 2],
      ['[build] RUN make', 1],
    ]);
    const { projectId } = await storage.projects.ensure('sums', 'main');
    const asked = { days: 7, limit: 10 };
    const { misses } = await new StatisticsReader(storage.db).dearMisses({ projectId, project: 'sums' }, asked);
    const dear = { cause: 'files', misses: 1, spentMs: 400 };
    expect(misses.map(({ step: name, cause, spentMs, last }) => [name, cause, spentMs, last?.because.name])).toEqual([
      ['[build] RUN make', 'files', 400, names[1]],
      ['[build] RUN test', 'files', 400, names[1]],
      ['[build] RUN test', 'neverBuilt', 400, names[2]],
    ]);
    expect(misses[1]).toMatchObject({ ...dear, followed: 1, last: { buildId: first.buildId, isBelow: true } });
    expect(misses[0]).toMatchObject({
      ...dear,
      followed: 0,
      last: { isBelow: false, why: 'files changed', hints: [] },
    });
    const causes = await read('sums', { by: 'cause' });
    expect(causes.groups.map(({ name, misses, followed }) => [name, misses, followed])).toEqual([
      ['files', 2, 1],
      ['neverBuilt', 1, 0],
    ]);
    expect((await read('sums', { by: 'scope' })).groups.map(({ name, hits }) => [name, hits])).toEqual([
      ['main', 0],
      ['pr', 1],
    ]);
    expect((await read('sums', { by: 'dockerfile', scope: 'pr' })).groups).toMatchObject([
      { name: 'Dockerfile', hits: 1, misses: 1 },
    ]);
    expect((await read('sums', { by: 'day' })).groups).toHaveLength(1);
    expect(await read('sums', { limit: 1 })).toMatchObject({ groups: [{ name: '[build] RUN test' }], more: true });
  });

  it('know nothing of what has no steps by its nature: images that are pushed or run', async () => {
    for (const call of ['push', 'run']) {
      const claim = await claimBuild(storage, 'one', 'containers');
      const made = [claim.buildId, call];
      await storage.db.execute(
        "UPDATE builds SET request = (request::jsonb || jsonb_build_object('call', $2::text))::json WHERE id = $1",
        made,
      );
      const result = {
        ...{ names: [], outputs: [], durationMs: 1, savedMs: 0 },
        steps: { total: 0, hit: 0, run: 0, joined: 0 },
        bytes: { contextSent: 0, pulled: 0, pushed: 0 },
      };
      await storage.ledger.finish(claim, { type: 'succeeded', atMs: 9, result });
    }
    expect(await read('containers')).toMatchObject({ builds: 0, cachedBuilds: 0, total: { hits: 0, misses: 0 } });
  });

  it('are of the own project, and of the days that were asked for', async () => {
    await succeed(await build('mine', [found(1), found(2)]));
    expect((await read('others')).builds).toBe(0);
    await storage.db.execute('UPDATE step_statistics SET day = day - 3');
    await storage.db.execute('UPDATE build_statistics SET day = day - 3');
    expect(await read('mine', { days: 3 })).toMatchObject({ builds: 0, total: { hits: 0 }, groups: [] });
    expect(await read('mine', { days: 4 })).toMatchObject({ builds: 1, total: { hits: 2 } });
    await storage.db.execute('UPDATE step_statistics SET day = day - 1000');
    await new StatisticsReader(storage.db).sweep();
    expect(await read('mine', { days: 400 })).toMatchObject({ builds: 1, total: { hits: 0 } });
  });

  it('hold of builds that one transaction ends, beside others that end one by one', async () => {
    const { projectId } = await storage.projects.ensure('ring', 'main');
    // Steps and causes in no common order: what one build counts first, another counts last.
    const causes = [files, { kind: 'neverBuilt' }, { kind: 'noCache' }, { kind: 'gone', reason: 'evicted' }];
    const wanted = { builds: 0, misses: 0 };
    for (let round = 0; round < 6; round++) {
      const lost: Claim[] = [];
      const claims: Claim[] = [];
      for (let at = 0; at < 8; at++) {
        const order = [1 + (at % 2), 2 - (at % 2)].slice(0, 1 + (at % 3 === 0 ? 1 : 0));
        const claim = await build(
          'ring',
          order.map((index) => ran(index, causes[(at + index + round) % 4])),
        );
        (at < 4 ? lost : claims).push(claim);
        wanted.builds++;
        wanted.misses += order.length;
      }
      for (const { buildId } of lost) await storage.ledger.requestCancel(projectId, buildId);
      await storage.db.execute("UPDATE builds SET heartbeat_at = now() + interval '1 hour' WHERE state = 'running'");
      for (const { buildId } of lost) await goSilent(storage, buildId);
      await Promise.all([storage.ledger.expired(50), ...claims.map(succeed)]);
    }
    expect(await read('ring')).toMatchObject({ builds: wanted.builds, total: { misses: wanted.misses } });
  });

  it('hold of many builds that end together', async () => {
    const claims = await Promise.all(Array.from({ length: 12 }, () => build('many', [ran(2, files), found(1)])));
    await Promise.all(claims.map(succeed));
    expect(await read('many')).toMatchObject({ builds: 12, total: { hits: 12, misses: 12 } });
  });
});

describe('steps that run again', () => {
  interface Run {
    readonly project: string;
    readonly tree: string;
    readonly scope?: string;
    readonly step?: string;
    readonly key?: string;
  }

  /** A build that runs one step, as the engine does it. @returns its id */
  async function run({
    project,
    tree,
    scope = 'main',
    step: name = names[1] ?? '',
    key: of = name,
  }: Run): Promise<string> {
    const claim = await claimBuild(storage, 'one', project, scope);
    const key = digestOf(`content of ${of}`) as CacheKey;
    const store = createCacheStore({ db: storage.db, redis: storage.link, claim });
    await new RerunStore(storage.db, claim).note({ name, key, tree: digestOf(tree) });
    const layer = { mediaType: 'application/test', digest: digestOf(`layer ${tree}`), size: 1 };
    const result: Result = {
      ...{ id: digestOf(`result ${of} ${tree}`) as Result['id'], parents: [], tree: digestOf(tree), empty: false },
      layers: [{ descriptor: layer, diffId: digestOf(`diff ${tree}`), delta: layer }],
      ...{ costMs: 1, startedAtMs: 1, finishedAtMs: 2 },
      producer: { buildId: claim.buildId, builderId: 'one', scope },
    };
    await store.save([{ key, kind: 'content', op: digestOf('op') as OpKey, preimage: {} }], result, ++ran);
    await succeed(claim);
    return claim.buildId;
  }
  let ran = 0;

  async function reruns(project: string, query: Partial<CacheRerunsQuery> = {}) {
    const { projectId } = await storage.projects.ensure(project, 'main');
    return new StatisticsReader(storage.db).reruns({ projectId, project }, { days: 7, limit: 20, ...query });
  }

  it('are told apart by whether they gave the same, with the builds of the last time that they did not', async () => {
    const project = 'again';
    expect(await reruns(project)).toMatchObject({ total: { same: 0, different: 0, steps: 0 }, steps: [], more: false });
    const first = await run({ project, tree: 'a' });
    expect((await reruns(project)).total).toEqual({ same: 0, different: 0, steps: 0, differing: 0 });
    await run({ project, tree: 'a' });
    const other = await run({ project, tree: 'b' });
    await run({ project, tree: 'b' });
    await run({ project, tree: 'x', step: 'COPY . .' });
    await run({ project, tree: 'x', step: 'COPY . .' });
    // Other inputs are another matter.
    await run({ project, tree: 'y', step: 'COPY . .', key: 'other files' });
    const all = await reruns(project);
    expect(all.total).toEqual({ same: 3, different: 1, steps: 2, differing: 1 });
    const at = all.steps[0]?.last?.at;
    expect(all.steps).toEqual([
      { step: '[build] RUN make', same: 2, different: 1, last: { buildId: other, earlierBuildId: first, at } },
      { step: 'COPY . .', same: 1, different: 0, last: null },
    ]);
    expect(await reruns(project, { limit: 1 })).toMatchObject({ total: all.total, steps: [all.steps[0]], more: true });
    expect((await reruns('elsewhere')).steps).toEqual([]);
  });

  it('are of its build where a part of it ran: what that made before is no other build’s', async () => {
    const project = 'parts';
    const before = await run({ project, tree: 'a' });
    const part = await claimBuild(storage, 'one', project);
    const key = digestOf('content of [build  2/3] RUN make') as CacheKey;
    const note = (parentId: string): Promise<void> =>
      new RerunStore(storage.db, { ...part, part: { text: '', platform: 'linux/amd64', parentId } }).note({
        ...{ name: '[build  2/3] RUN make', key, tree: digestOf('b') },
      });
    await note(before);
    expect((await reruns(project)).total).toMatchObject({ same: 0, different: 0 });
    await note('another');
    expect((await reruns(project)).steps).toMatchObject([
      { different: 1, last: { buildId: 'another', earlierBuildId: before } },
    ]);
  });

  it('are compared with what went out of the cache, but not with what was disowned', async () => {
    const project = 'rebuilt';
    const lose = async (layer: string): Promise<void> => {
      const claim = await claimBuild(storage, 'one', project);
      await createCacheStore({ db: storage.db, redis: storage.link, claim }).forget(new Set([digestOf(layer)]));
    };
    const first = await run({ project, tree: 'a' });
    await lose('layer a');
    const second = await run({ project, tree: 'c' });
    expect((await reruns(project)).steps).toMatchObject([
      { same: 0, different: 1, last: { buildId: second, earlierBuildId: first } },
    ]);
    await lose('layer c');
    await storage.db.execute("UPDATE record_tombstones SET reason = 'disowned'");
    await run({ project, tree: 'd' });
    expect((await reruns(project)).total).toMatchObject({ same: 0, different: 1 });
  });

  it('are compared with what their scope may read, and counted for it', async () => {
    const project = 'scoped';
    await run({ project, tree: 'a' });
    await run({ project, tree: 'b', scope: 'pr' });
    await run({ project, tree: 'a' });
    expect((await reruns(project, { scope: 'pr' })).total).toMatchObject({ same: 0, different: 1 });
    expect((await reruns(project, { scope: 'main' })).total).toMatchObject({ same: 1, different: 0 });
    await storage.db.execute('UPDATE rerun_statistics SET day = day - 3');
    expect((await reruns(project, { days: 3 })).total.steps).toBe(0);
    expect((await reruns(project, { days: 4 })).total.steps).toBe(1);
  });

  it('are counted as one by one they are', async () => {
    const project = 'many-runs';
    const before = new Map<string, string>();
    const wanted = new Map<string, { same: number; different: number }>();
    for (let n = 0; n < 24; n++) {
      const name = `RUN step ${n % 3}`;
      const tree = `tree ${(n * n) % 5 < 3 ? 0 : n}`;
      await run({ project, step: name, tree });
      const known = before.get(name);
      before.set(name, tree);
      const counts = wanted.get(name) ?? { same: 0, different: 0 };
      if (known !== undefined) counts[known === tree ? 'same' : 'different']++;
      wanted.set(name, counts);
    }
    const { steps, total } = await reruns(project);
    expect(new Map(steps.map(({ step: name, same, different }) => [name, { same, different }]))).toEqual(wanted);
    const sum = (of: 'same' | 'different') => [...wanted.values()].reduce((all, counts) => all + counts[of], 0);
    expect(total).toMatchObject({ same: sum('same'), different: sum('different'), steps: 3 });
  });
});

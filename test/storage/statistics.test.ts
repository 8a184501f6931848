import { digestOf } from '#oci';
import type { BuildEvent, CacheStatisticsQuery } from '#protocol';
import { type Claim, StatisticsReader } from '#storage';
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

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { StoredRequest } from '#protocol';
import { BuilderRegistry, type BuildLedger, type Claim } from '#storage';
import { context, goSilent, nextId, request, startStorage, type Storage } from './farm.ts';

let storage: Storage;
let ledger: BuildLedger;
beforeAll(async () => {
  storage = await startStorage();
  ({ ledger } = storage);
});
afterAll(() => storage[Symbol.asyncDispose]());
afterEach(async () => {
  await storage.db.execute("UPDATE builds SET state = 'cancelled' WHERE state IN ('queued', 'running')");
});

async function submit(
  project: string,
  asked: Partial<StoredRequest> = {},
  scope = 'main',
): Promise<{ readonly id: string; readonly turn: number }> {
  const ids = await storage.projects.ensure(project, scope);
  const id = nextId();
  const { turn } = await ledger.create({ ...ids, id, request: request(asked), context, sealed: null, fingerprint: id });
  return { id, turn };
}

async function stateOf(project: string, id: string) {
  const { projectId } = await storage.projects.ensure(project, 'main');
  const { state, supersededBy } = await ledger.get(projectId, id);
  return { state, supersededBy };
}

/** What a builder gets for the job that was made for this build. */
const claimBy = async (id: string, attempt = 1): Promise<string | undefined> =>
  (await ledger.claim(id, attempt, 'one'))?.buildId;

async function submitMany(project: string, count: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let index = 0; index < count; index++) ids.push((await submit(project)).id);
  return ids;
}

/** Waiting builds in the order in which builders get them. */
const order = async (): Promise<readonly string[]> =>
  (await ledger.queuedOlderThan(-1000)).map(({ buildId }) => buildId);

async function serve(id: string): Promise<void> {
  await ledger.claim(id, 1, 'one');
  await storage.db.execute("UPDATE builds SET state = 'succeeded' WHERE id = $1", [id]);
}

describe('the order of the queue', () => {
  it('is by arrival within a project', async () => {
    const ids = await submitMany('busy', 5);
    expect(await order()).toEqual(ids);
  });

  it('takes projects in turns, however many builds one has sent before', async () => {
    const [a0 = '', a1, a2, a3] = await submitMany('a', 4);
    await serve(a0);
    const [b0, b1] = await submitMany('b', 2);
    const [c0] = await submitMany('c', 1);
    expect(await order()).toEqual([b0, c0, a1, b1, a2, a3]);
  });

  it('lets who runs builds already wait for who does not', async () => {
    for (const id of await submitMany('a', 3)) await ledger.claim(id, 1, 'one');
    const [more] = await submitMany('a', 1);
    const [first] = await submitMany('b', 1);
    expect(await order()).toEqual([first, more]);
  });

  it('lets nobody be overtaken for ever by those who send one at a time', async () => {
    const busy = await submitMany('busy', 4);
    await submit('modest-0');
    for (let round = 1; round <= 20; round++) {
      const [next = ''] = await order();
      await serve(next);
      await submit(`modest-${round % 2}`);
    }
    expect(await order()).not.toEqual(expect.arrayContaining([expect.stringMatching(new RegExp(busy.join('|')))]));
  });

  it('holds nothing against a project for what it cancelled while it waited', async () => {
    const ids = await storage.projects.ensure('hasty', 'main');
    const { turn: before } = await submit('hasty');
    for (const id of await submitMany('hasty', 50)) await ledger.requestCancel(ids.projectId, id);
    expect((await submit('hasty')).turn).toBe(before + 1);
  });

  it('gives turns of their own to builds of one project that come at one moment', async () => {
    await storage.projects.ensure('burst', 'main');
    const turns = (await Promise.all(Array.from({ length: 8 }, () => submit('burst')))).map(({ turn }) => turn);
    expect(new Set(turns).size).toBe(8);
    expect(Math.max(...turns) - Math.min(...turns)).toBe(7);
  });

  it('puts a build that was taken from a lost builder before what came after it', async () => {
    const [lost = ''] = await submitMany('a', 1);
    await ledger.claim(lost, 1, 'one');
    await submitMany('a', 3);
    await goSilent(storage, lost);
    expect(await ledger.expired(50)).toMatchObject([{ buildId: lost, attempt: 2 }]);
    expect((await order())[0]).toBe(lost);
  });
});

describe('a build of higher priority', () => {
  it('gets the turn that comes, and gives its own to who is passed over', async () => {
    const low = await submit('p', { priority: 'low' });
    const other = await submit('q');
    const usual = await submit('p');
    const high = await submit('p', { priority: 'high' });
    expect(await claimBy(low.id)).toBe(high.id);
    expect(await claimBy(low.id)).toBeUndefined();
    // The places that the project has left are the later ones, and come by the jobs that are there.
    expect(await ledger.queuedOlderThan(-1000)).toMatchObject([
      { buildId: other.id, turn: other.turn },
      { buildId: usual.id, turn: usual.turn },
      { buildId: high.id, turn: high.turn },
    ]);
    expect(await claimBy(other.id)).toBe(other.id);
    expect(await claimBy(usual.id)).toBe(usual.id);
    expect(await claimBy(high.id)).toBe(low.id);
  });

  it('is the first by priority, then by arrival, each once, however many builders ask at one moment', async () => {
    const builds: { readonly priority: string; readonly id: string }[] = [];
    for (const priority of ['low', 'normal', 'high', 'low', 'high', 'normal'] as const)
      builds.push({ priority, id: (await submit('p', { priority })).id });
    const got: (string | undefined)[] = [];
    for (const { id } of builds) got.push(await claimBy(id));
    const sorted = ['high', 'normal', 'low'].flatMap((each) => builds.filter(({ priority }) => priority === each));
    expect(got).toEqual(sorted.map(({ id }) => id));
    const more = [];
    for (let index = 0; index < 12; index++) more.push(await submit('p', { priority: index % 2 ? 'high' : 'low' }));
    let left = new Set(more.map(({ id }) => id));
    for (let round = 0; left.size > 0 && round < 20; round++) {
      const jobs = await ledger.queuedOlderThan(-1000);
      const claimed = await Promise.all(jobs.map(({ buildId, attempt }) => claimBy(buildId, attempt)));
      for (const id of claimed) if (id !== undefined) expect(left.delete(id)).toBe(true);
      left = new Set([...left]);
    }
    expect(left.size).toBe(0);
  });

  it('does not keep those of lower priority waiting for ever', async () => {
    const low = await submit('p', { priority: 'low' });
    const age = (hours: number) =>
      storage.db.execute("UPDATE builds SET created_at = now() - $2 * interval '1 hour' WHERE id = $1", [
        low.id,
        hours,
      ]);
    const got: (string | undefined)[] = [];
    const comes = async (): Promise<string> => {
      const { id } = await submit('p', { priority: 'high' });
      const [next] = await ledger.queuedOlderThan(-1000);
      got.push(await claimBy(next?.buildId ?? '', next?.attempt));
      return id;
    };
    const high: string[] = [];
    for (const hours of [0, 0.5, 1]) {
      await age(hours);
      high.push(await comes());
    }
    await age(4);
    await comes();
    expect(got).toEqual([...high, low.id]);
  });

  it('that came first is not passed by those that came hours later with the same', async () => {
    const [first, second] = [await submit('p'), await submit('p')];
    await storage.db.execute("UPDATE builds SET created_at = created_at - interval '3 hours' WHERE id = $1", [
      first.id,
    ]);
    expect(await claimBy(second.id)).toBe(first.id);
    expect(await claimBy(first.id)).toBe(second.id);
  });

  it('is found again by a job of its own when its builder is lost, as is who was passed over', async () => {
    const usual = await submit('p');
    const high = await submit('p', { priority: 'high' });
    expect(await claimBy(usual.id)).toBe(high.id);
    await goSilent(storage, high.id);
    expect(await ledger.expired(50)).toMatchObject([{ buildId: high.id, attempt: 2 }]);
    expect(await claimBy(high.id, 1)).toBe(high.id);
    expect(await claimBy(high.id, 2)).toBe(usual.id);
  });
});

describe('a project that runs so many builds at once', () => {
  const end = async ({ buildId }: Claim): Promise<void> => {
    await storage.db.execute("UPDATE builds SET state = 'succeeded' WHERE id = $1", [buildId]);
  };

  it('is held back, and goes on with the most urgent as one ends', async () => {
    const { projectId } = await storage.projects.ensure('narrow', 'main');
    await storage.projects.limit('narrow', { maxRunning: 2 });
    const builds = [await submit('narrow'), await submit('narrow'), await submit('narrow')];
    const high = await submit('narrow', { priority: 'high' });
    const free = await submit('free');
    const [one, two, three] = builds.map(({ id }) => id);
    const claims = [await ledger.claim(one ?? '', 1, 'one'), await ledger.claim(two ?? '', 1, 'one')];
    expect(claims.map((claim) => claim?.buildId)).toEqual([high.id, one]);
    expect(await claimBy(three ?? '')).toBeUndefined();
    expect(await order()).toEqual([free.id]);
    expect(await ledger.admitted(projectId)).toEqual([]);
    if (claims[0]) await end(claims[0]);
    const [next, ...others] = await ledger.admitted(projectId);
    expect(others).toEqual([]);
    expect(await order()).toEqual([free.id, next?.buildId]);
    expect(await claimBy(next?.buildId ?? '', next?.attempt)).toBe(two);
    await storage.projects.limit('narrow', { maxRunning: null });
    expect((await order()).length).toBe(2);
  });

  it('has no more that wait than it may', async () => {
    await storage.projects.ensure('full', 'main');
    await storage.projects.limit('full', { maxRunning: null, maxQueued: 2 });
    await submitMany('full', 2);
    await expect(submit('full')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await expect(submit('roomy')).resolves.toBeDefined();
  });
});

describe('a build that supersedes', () => {
  const commit = (digit: string): string => digit.repeat(40);
  const of = (digit: string, more: Partial<StoredRequest> = {}): Partial<StoredRequest> => ({
    source: { branch: 'main', commit: commit(digit) },
    tags: [`acme/web:${digit}`],
    ...more,
  });

  it('ends what waits and runs of other commits of its branch', async () => {
    const [waits, runs] = [await submit('s', of('a')), await submit('s', of('b'))];
    const claim = await ledger.claim(runs.id, 1, 'one');
    if (claim === null) throw new Error('not claimed');
    const next = await submit('s', of('c', { supersede: true }));
    expect(await stateOf('s', waits.id)).toEqual({ state: 'cancelled', supersededBy: next.id });
    expect(await stateOf('s', runs.id)).toEqual({ state: 'running', supersededBy: next.id });
    expect(await ledger.heartbeat(claim)).toEqual({ cancelReason: `superseded by the build ${next.id}` });
    expect(await stateOf('s', next.id)).toEqual({ state: 'queued', supersededBy: undefined });
  });

  it('ends all of them, however many builds of something else stand between', async () => {
    const others = await submit('crowd', of('a', { target: 'test' }));
    const olds = await submit('crowd', of('a'));
    const copy = `INSERT INTO builds SELECT (jsonb_populate_record(b, jsonb_build_object('id', $2 || n))).*
      FROM builds b, generate_series(1, $3) AS n WHERE b.id = $1`;
    await storage.db.execute(copy, [others.id, 'a', 1_000]);
    await storage.db.execute(copy, [olds.id, 'z', 600]);
    const next = await submit('crowd', of('b', { supersede: true }));
    const [count] = await storage.db.query(
      z.object({ ended: z.int(), left: z.int() }),
      `SELECT count(*) FILTER (WHERE state = 'cancelled' AND superseded_by = $2)::int AS ended,
         count(*) FILTER (WHERE state = 'queued')::int AS left FROM builds WHERE project_id =
         (SELECT project_id FROM builds WHERE id = $1)`,
      [olds.id, next.id],
    );
    expect(count).toEqual({ ended: 601, left: 1_001 + 1 });
  });

  it('finds room where those that it ends have waited', async () => {
    await storage.projects.ensure('crammed', 'main');
    await storage.projects.limit('crammed', { maxRunning: null, maxQueued: 1 });
    const old = await submit('crammed', of('a'));
    await expect(submit('crammed', of('b'))).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    const next = await submit('crammed', of('b', { supersede: true }));
    expect(await stateOf('crammed', old.id)).toEqual({ state: 'cancelled', supersededBy: next.id });
  });

  it.each<[string, Partial<StoredRequest>, string?]>([
    ['of the same commit', of('c', { buildArgs: { NODE: '20' } })],
    ['of another branch', of('a', { source: { branch: 'x', commit: commit('a') } })],
    ['of another pull request', of('a', { source: { branch: 'main', commit: commit('a'), pullRequest: '7' } })],
    ['of another repository', of('a', { source: { branch: 'main', commit: commit('a'), repository: 'https://x' } })],
    ['of another image', of('a', { tags: ['acme/api:a'] })],
    ['of another target', of('a', { target: 'test' })],
    ['of another platform', of('a', { platforms: ['linux/arm64'] })],
    ['of nothing that is known', {}],
    ['in another scope', of('a'), 'pr'],
  ])('leaves one %s alone', async (_, asked, scope) => {
    const { id } = await submit('s', asked, scope);
    await submit('s', of('c', { supersede: true }));
    expect((await stateOf('s', id)).state).toBe('queued');
  });

  it('and one that does not, leave another project alone, and each other', async () => {
    const { id } = await submit('t', of('a'));
    await submit('s', of('c', { supersede: true }));
    await submit('t', of('b'));
    expect((await stateOf('t', id)).state).toBe('queued');
  });
});

describe('a build that is given back', () => {
  it('is queued again, however often: only lost builders count', async () => {
    const { id } = await submit('rolling');
    for (let attempt = 1; attempt <= 12; attempt++) {
      const claim = await ledger.claim(id, attempt, 'one');
      if (claim === null) throw new Error(`attempt ${attempt} could not be claimed`);
      await ledger.release(claim);
      await ledger.release(claim);
      await expect(ledger.heartbeat(claim)).rejects.toMatchObject({ code: 'FENCED' });
    }
    for (let attempt = 13; attempt <= 22; attempt++) {
      await ledger.claim(id, attempt, 'one');
      await goSilent(storage, id);
      await ledger.expired(50);
    }
    const ids = await storage.projects.ensure('rolling', 'main');
    const { state, failure } = await ledger.get(ids.projectId, id);
    expect([state, failure?.message]).toEqual(['failed', 'the builder was lost 10 times while it ran this build']);
  });
});

describe('builders', () => {
  it('know of others that have room and do less', async () => {
    const builders = new BuilderRegistry(storage.db);
    await builders.register('one', { slots: 4 });
    await builders.register('two', { slots: 1 });
    const freer = (running: number): Promise<boolean> => builders.hasFreer('one', running, 10_000);
    expect(await freer(1)).toBe(true);
    const { id } = await submit('busy');
    await ledger.claim(id, 1, 'two');
    expect(await freer(1)).toBe(false);
    // It runs fewer, but it has no room.
    expect(await freer(3)).toBe(false);
    await storage.db.execute("UPDATE builds SET state = 'succeeded' WHERE id = $1", [id]);
    await builders.heartbeat('two', 'draining');
    expect(await freer(1)).toBe(false);
    await builders.heartbeat('two', 'ready');
    expect(await freer(1)).toBe(true);
    expect(await builders.hasFreer('one', 1, -1)).toBe(false);
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BuilderRegistry, type BuildLedger } from '#storage';
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

async function submit(project: string): Promise<{ readonly id: string; readonly turn: number }> {
  const ids = await storage.projects.ensure(project, 'main');
  const id = nextId();
  const { turn } = await ledger.create({ ...ids, id, request: request(), context, sealed: null, fingerprint: id });
  return { id, turn };
}

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

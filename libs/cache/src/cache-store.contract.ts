import { type Descriptor, digestOf } from '#oci';
import { isKilnError } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CacheKey,
  type CacheStore,
  type ExplainedKey,
  madeAt,
  MAX_CANDIDATES,
  type OpKey,
  type Result,
} from './record.ts';
import type { ResultId } from './record.ts';

/** The record index as one build of a scope sees it. */
export interface ContractBuild {
  readonly store: CacheStore;
  /** takes the build away from its builder */
  lose(): Promise<void>;
}

export interface ContractFarm extends AsyncDisposable {
  /** A new build in a scope of a project; the scope `pr` reads `main` too. */
  build(project: string, scope: 'main' | 'pr'): Promise<ContractBuild>;
}

const key = (name: string): CacheKey => digestOf(`key ${name}`) as CacheKey;
const op = (name: string): OpKey => digestOf(`op ${name}`) as OpKey;
const blob = (name: string): Descriptor => ({ mediaType: 'application/test', digest: digestOf(name), size: 7 });
const explained = (name: string): ExplainedKey => ({
  key: key(name),
  kind: 'definition',
  op: op(name),
  preimage: { v: 1, args: [name, '\u0000', '\udc80'] },
});
const result = (name: string, layers: readonly string[] = [name]): Result => ({
  id: digestOf(`result ${name}`) as ResultId,
  parents: [digestOf('base') as ResultId],
  layers: layers.map((layer) => ({
    descriptor: blob(`layer ${layer}`),
    diffId: digestOf(`diff ${layer}`),
    delta: blob(`delta ${layer}`),
  })),
  tree: digestOf(`tree ${name}`),
  empty: false,
  costMs: 12.5,
  startedAtMs: 1_700_000_000_000,
  finishedAtMs: 1_700_000_000_012.5,
  producer: { buildId: 'b', builderId: 'n', scope: 'main' },
});

async function idsOf(store: CacheStore, name: string): Promise<readonly ResultId[] | undefined> {
  const { records } = await store.lookup([key(name)], []);
  return records.get(key(name))?.map((record) => record.result.id);
}

/** What every index of records keeps. Each test has a project of its own. */
export function cacheStoreContract(open: () => Promise<ContractFarm>): void {
  let farm: ContractFarm;
  beforeAll(async () => {
    farm = await open();
  });
  afterAll(async () => {
    await farm[Symbol.asyncDispose]();
  });

  describe('look-up and save', () => {
    it('gives back what was saved, whole, under every key', async () => {
      const { store } = await farm.build('whole', 'main');
      await store.save([explained('a'), { ...explained('b'), kind: 'content' }], result('x', ['one', 'two']), 1);
      const { records, ops } = await store.lookup([key('a'), key('b'), key('c')], [op('b'), op('c')]);
      expect(records.get(key('a'))).toEqual([
        { key: key('a'), kind: 'definition', result: result('x', ['one', 'two']), confirmedAtMs: 1 },
      ]);
      expect(records.get(key('b'))).toEqual([
        { key: key('b'), kind: 'content', result: result('x', ['one', 'two']), confirmedAtMs: 1 },
      ]);
      expect(records.has(key('c'))).toBe(false);
      expect(ops).toEqual(new Set([op('b')]));
    });

    it('answers nothing for nothing', async () => {
      const { store } = await farm.build('nothing', 'main');
      expect(await store.lookup([], [])).toEqual({ records: new Map(), ops: new Set() });
    });

    it('gives the newest first, at most so many, each once', async () => {
      const { store } = await farm.build('newest', 'main');
      const names = Array.from({ length: MAX_CANDIDATES + 2 }, (_, index) => `r${index}`);
      for (const name of names) await store.save([explained('k')], result(name), 1);
      await store.save([explained('k')], result('r3'), 1);
      const newest = ['r3', ...names.filter((name) => name !== 'r3').reverse()].slice(0, MAX_CANDIDATES);
      expect(await idsOf(store, 'k')).toEqual(newest.map((name) => result(name).id));
    });

    it('remembers when a run last gave a result', async () => {
      const { store } = await farm.build('confirmed', 'main');
      for (const ms of [5, 9, 7]) await store.save([explained('k')], result('x'), ms);
      await store.save([explained('other')], result('x'), 3);
      const { records } = await store.lookup([key('k'), key('other')], []);
      expect([key('k'), key('other')].map((each) => records.get(each)?.map((r) => r.confirmedAtMs))).toEqual([
        [9],
        [3],
      ]);
    });

    it('sees a save at once from another build, also after an answer without it', async () => {
      const [one, other] = [await farm.build('fresh', 'main'), await farm.build('fresh', 'main')];
      expect(await idsOf(other.store, 'k')).toBeUndefined();
      await one.store.save([explained('k')], result('x'), 1);
      expect(await idsOf(other.store, 'k')).toEqual([result('x').id]);
    });

    it('hands back what is stored: the first of the same results stays, times and all', async () => {
      const { store } = await farm.build('first', 'main');
      const first = result('x');
      expect(await store.save([explained('k')], first, 1)).toEqual(first);
      const later = { ...first, finishedAtMs: first.finishedAtMs + 1, producer: { ...first.producer, buildId: 'c' } };
      expect(await store.save([explained('l')], later, 2)).toEqual(first);
      expect((await store.lookup([key('l')], [])).records.get(key('l'))?.[0]?.result).toEqual(first);
    });

    it('reserves a result for the first that made it: nobody finds it before it is saved, with its times', async () => {
      const [one, other] = [await farm.build('reserved', 'main'), await farm.build('reserved', 'main')];
      const made = result('x', ['one', 'two']);
      const first = madeAt(made, made);
      const later = madeAt(first, { startedAtMs: first.startedAtMs + 5, finishedAtMs: first.finishedAtMs + 5 });
      expect(await one.store.reserve(first)).toEqual(first);
      expect(await other.store.reserve(later)).toEqual(first);
      expect(await idsOf(one.store, 'k')).toBeUndefined();
      expect(await other.store.save([explained('k')], await other.store.reserve(later), 1)).toEqual(first);
      expect(await one.store.reserve(later)).toEqual(first);
      const pr = await farm.build('reserved', 'pr');
      expect(await pr.store.reserve(later)).toEqual(later);
    });

    it('keeps every one of many saves at the same moment', async () => {
      const { store } = await farm.build('many', 'main');
      const names = Array.from({ length: 6 }, (_, index) => `r${index}`);
      await Promise.all(names.map((name) => store.save([explained('k'), explained(name)], result(name), 1)));
      expect(new Set(await idsOf(store, 'k'))).toEqual(new Set(names.map((name) => result(name).id)));
    });
  });

  describe('scopes and projects', () => {
    it('trust flows down: own first, then inherited, never up', async () => {
      const main = await farm.build('trust', 'main');
      const pr = await farm.build('trust', 'pr');
      await pr.store.save([explained('k')], result('pr'), 1);
      expect(await idsOf(main.store, 'k')).toBeUndefined();
      expect((await main.store.lookup([], [op('k')])).ops.size).toBe(0);
      await main.store.save([explained('k')], result('main'), 1);
      expect(await idsOf(pr.store, 'k')).toEqual([result('pr').id, result('main').id]);
      expect(await idsOf(main.store, 'k')).toEqual([result('main').id]);
    });

    it('gives a result that two scopes have once', async () => {
      const main = await farm.build('twice', 'main');
      const pr = await farm.build('twice', 'pr');
      await main.store.save([explained('k')], result('x'), 1);
      await pr.store.save([explained('k')], result('x'), 1);
      expect(await idsOf(pr.store, 'k')).toEqual([result('x').id]);
    });

    it('knows nothing of other projects', async () => {
      const [mine, other] = [await farm.build('mine', 'main'), await farm.build('other', 'main')];
      await mine.store.save([explained('k')], result('x'), 1);
      await mine.store.saveDelta(digestOf('d'), blob('delta'));
      expect(await idsOf(other.store, 'k')).toBeUndefined();
      expect((await other.store.lookup([], [op('k')])).ops.size).toBe(0);
      expect((await other.store.findDeltas([digestOf('d')])).size).toBe(0);
      await other.store.forget(new Set([digestOf('layer x'), digestOf('delta')]));
      expect(await idsOf(mine.store, 'k')).toEqual([result('x').id]);
      expect((await mine.store.findDeltas([digestOf('d')])).size).toBe(1);
    });
  });

  describe('forget', () => {
    it.each(['layer one', 'delta one'])('takes back what stands on %s, and nothing else', async (lost) => {
      const { store } = await farm.build(`forget ${lost}`.replaceAll(' ', '-'), 'main');
      await store.save([explained('below')], result('below', ['one']), 1);
      await store.save([explained('above')], result('above', ['one', 'two']), 1);
      await store.save([explained('beside')], result('beside', ['two']), 1);
      expect(await idsOf(store, 'above')).toBeDefined();
      await store.forget(new Set([digestOf(lost)]));
      expect(await idsOf(store, 'below')).toBeUndefined();
      expect(await idsOf(store, 'above')).toBeUndefined();
      expect(await idsOf(store, 'beside')).toEqual([result('beside').id]);
      expect((await store.lookup([], [op('below'), op('beside')])).ops).toEqual(new Set([op('beside')]));
    });

    it('reaches inherited scopes, and what is saved again counts again', async () => {
      const main = await farm.build('again', 'main');
      const pr = await farm.build('again', 'pr');
      await main.store.save([explained('k')], result('x'), 1);
      await pr.store.forget(new Set([digestOf('layer x')]));
      expect(await idsOf(main.store, 'k')).toBeUndefined();
      const again = { ...result('x'), costMs: 99 };
      await main.store.save([explained('k')], again, 1);
      expect((await pr.store.lookup([key('k')], [])).records.get(key('k'))?.[0]?.result).toEqual(again);
    });
  });

  describe('deltas', () => {
    it('are found by diffID until their blob is lost', async () => {
      const { store } = await farm.build('deltas', 'main');
      await store.saveDelta(digestOf('d'), blob('one'));
      await store.saveDelta(digestOf('d'), blob('two'));
      expect(await store.findDeltas([digestOf('d'), digestOf('e')])).toEqual(new Map([[digestOf('d'), blob('two')]]));
      await store.forget(new Set([digestOf('two')]));
      expect((await store.findDeltas([digestOf('d')])).size).toBe(0);
    });
  });

  describe('a build that was taken over', () => {
    it('makes nothing visible any more', async () => {
      const build = await farm.build('lost', 'main');
      const { store } = build;
      const other = await farm.build('lost', 'main');
      await build.lose();
      const fenced = (thrown: unknown): boolean => isKilnError(thrown, 'FENCED');
      await expect(store.save([explained('k')], result('x'), 1)).rejects.toSatisfy(fenced);
      await expect(store.saveDelta(digestOf('d'), blob('one'))).rejects.toSatisfy(fenced);
      expect(await idsOf(other.store, 'k')).toBeUndefined();
      expect((await other.store.findDeltas([digestOf('d')])).size).toBe(0);
    });
  });

  it('honours an aborted signal', async () => {
    const { store } = await farm.build('aborted', 'main');
    const reason = new Error('stop');
    const signal = AbortSignal.abort(reason);
    await expect(store.lookup([key('k')], [], signal)).rejects.toBe(reason);
    await expect(store.save([explained('k')], result('x'), 1, signal)).rejects.toBe(reason);
    expect(await idsOf(store, 'k')).toBeUndefined();
  });
}

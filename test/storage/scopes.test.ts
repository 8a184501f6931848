import type { CacheKey, OpKey, Result } from '#cache';
import { digestOf } from '#oci';
import { type ErrorCode, isKilnError } from '#std';
import { createCacheStore, type NewScope } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { context, nextId, request, startStorage, type Storage } from './farm.ts';

let storage: Storage;
beforeAll(async () => {
  storage = await startStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());

const code =
  (expected: ErrorCode) =>
  (thrown: unknown): boolean =>
    isKilnError(thrown, expected);

/** The cache as a build of a scope sees it. */
async function buildIn(project: string, scope: string, options?: NewScope) {
  const ids = await storage.projects.ensure(project, scope, options);
  const id = nextId();
  await storage.ledger.create({ ...ids, id, request: request(), context, sealed: Buffer.from(''), fingerprint: id });
  const claim = await storage.ledger.claim(id, 1, 'one');
  if (claim === null) throw new Error('not claimed');
  return createCacheStore({ db: storage.db, redis: storage.link, claim });
}

const key = digestOf('key') as CacheKey;
const op = digestOf('op') as OpKey;
const explained = { key, kind: 'definition' as const, op, preimage: {} };
const result = (name: string): Result => ({
  id: digestOf(name) as Result['id'],
  parents: [],
  layers: [
    {
      descriptor: { mediaType: 'application/test', digest: digestOf(`layer ${name}`), size: 7 },
      diffId: digestOf(`diff ${name}`),
      delta: { mediaType: 'application/test', digest: digestOf(`delta ${name}`), size: 7 },
    },
  ],
  tree: digestOf('tree'),
  empty: false,
  costMs: 1,
  startedAtMs: 1,
  finishedAtMs: 2,
  producer: { buildId: 'b', builderId: 'n', scope: 'main' },
});
type Store = Awaited<ReturnType<typeof buildIn>>;
const found = async (store: Store): Promise<readonly Result[]> =>
  (await store.lookup([key], [])).records.get(key)?.map((record) => record.result) ?? [];
const knows = async (store: Store): Promise<boolean> => (await store.lookup([], [op])).ops.has(op);

describe('trust', () => {
  const scope = (name: string, options?: NewScope) => storage.projects.ensure('lattice', name, options);

  it('flows down alone: a scope inherits what is trusted as far as itself, or further', async () => {
    await scope('release', { trust: 'release' });
    await scope('main', { parent: 'release' });
    await scope('fork', { parent: 'main', trust: 'fork' });
    await expect(scope('v1', { parent: 'main', trust: 'release' })).rejects.toSatisfy(code('INVALID_ARGUMENT'));
    await expect(scope('branch', { parent: 'fork', trust: 'pull-request' })).rejects.toThrow(
      'trusted as pull-request cannot inherit one trusted as fork',
    );
    // Below a fork nothing is trusted further than the fork, unless somebody says so, and then it is refused.
    await scope('fork-of-fork', { parent: 'fork' });
    await scope('fork-of-fork', { trust: 'fork' });
  });

  it('of a scope is never changed, nor what it inherits', async () => {
    await scope('trunk');
    await scope('trunk', { trust: 'protected' });
    await expect(scope('trunk', { trust: 'release' })).rejects.toSatisfy(code('CONFLICT'));
    await scope('feature', { parent: 'trunk', trust: 'branch' });
    await expect(scope('feature', { parent: 'trunk', trust: 'protected' })).rejects.toSatisfy(code('CONFLICT'));
  });

  it('is kept by the database itself', async () => {
    await scope('low', { trust: 'fork' });
    await scope('high', { trust: 'protected' });
    const inherit = `UPDATE scopes s SET parent_id = p.id, parent_trust = p.trust FROM scopes p
      WHERE s.name = 'high' AND p.name = 'low' AND p.project_id = s.project_id`;
    await expect(storage.db.execute(inherit)).rejects.toThrow();
    const lie = inherit.replace('p.trust', '4');
    await expect(storage.db.execute(lie)).rejects.toThrow();
  });
});

describe('a scope that is shared with another project', () => {
  const share = { project: 'giver', scope: 'main', reader: 'taker' };

  it('is read by choice alone, and until the choice is taken back', async () => {
    const giver = await buildIn('giver', 'main');
    await giver.save([explained], result('shared'), 1);
    const before = await buildIn('taker', 'main');
    expect(await found(before)).toEqual([]);
    expect(await knows(before)).toBe(false);

    await storage.projects.share(share);
    await storage.projects.share(share);
    const during = await buildIn('taker', 'main');
    expect(await knows(during)).toBe(true);
    // The second time from the hot copy.
    for (const _ of [1, 2]) {
      const [first] = await found(during);
      expect(first).toEqual({ ...result('shared'), producer: { ...result('shared').producer, scope: 'giver/main' } });
    }
    expect(await found(await buildIn('giver', 'main'))).toEqual([result('shared')]);

    expect(await storage.projects.unshare(share)).toBe(true);
    expect(await storage.projects.unshare(share)).toBe(false);
    expect(await found(await buildIn('taker', 'main'))).toEqual([]);
  });

  it('is never written, and comes after what is the own', async () => {
    await storage.projects.share(share);
    const taker = await buildIn('taker', 'main');
    await taker.save([explained], result('own'), 1);
    expect((await found(taker)).map(({ id }) => id)).toEqual([result('own').id, result('shared').id]);
    expect(await found(await buildIn('giver', 'main'))).toEqual([result('shared')]);
    expect((await found(await buildIn('taker', 'pr', { parent: 'main' }))).map(({ id }) => id)).toEqual([
      result('own').id,
      result('shared').id,
    ]);
  });

  it('is not read by what is trusted further', async () => {
    const fork = await buildIn('giver', 'fork', { parent: 'main', trust: 'fork' });
    await fork.save([explained], result('poison'), 1);
    await storage.projects.ensure('careful', 'main');
    await storage.projects.share({ ...share, scope: 'fork', reader: 'careful' });
    expect(await found(await buildIn('careful', 'main'))).toEqual([]);
    expect(await found(await buildIn('careful', 'pr', { parent: 'main', trust: 'pull-request' }))).toEqual([]);
    expect(await found(await buildIn('careful', 'fork', { parent: 'main', trust: 'fork' }))).toHaveLength(1);
  });

  it('loses what the reader finds to be lost', async () => {
    const taker = await buildIn('taker', 'main');
    await taker.forget(new Set([digestOf('layer shared')]));
    expect((await found(taker)).map(({ id }) => id)).toEqual([result('own').id]);
    expect(await found(await buildIn('giver', 'main'))).toEqual([]);
  });

  it('is there, and is another project’s', async () => {
    await expect(storage.projects.share({ ...share, scope: 'nowhere' })).rejects.toSatisfy(code('NOT_FOUND'));
    await expect(storage.projects.share({ ...share, reader: 'nobody' })).rejects.toSatisfy(code('NOT_FOUND'));
    await expect(storage.projects.share({ ...share, reader: 'giver' })).rejects.toSatisfy(code('INVALID_ARGUMENT'));
  });
});

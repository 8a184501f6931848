import { type Digest, digestOf } from '#oci';
import { CacheMountStore, Collector, type CacheMountVersionId, type NewCacheMountVersion } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { claimBuild, goSilent, startStorage, type Storage } from './farm.ts';

let storage: Storage;
beforeAll(async () => {
  storage = await startStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());

let drawn = 0;
const newMount = (): Digest => digestOf(`mount ${++drawn}`);
const version = (name: string, more: Partial<NewCacheMountVersion> = {}): NewCacheMountVersion => ({
  id: '/root/.npm',
  base: undefined,
  merged: undefined,
  manifest: digestOf(name),
  blobs: [name, `pack of ${name}`].map((text) => ({ digest: digestOf(text), sizeBytes: 10 })),
  sizeBytes: 100,
  entries: 3,
  ...more,
});
const open = async (scope?: string, project?: string): Promise<CacheMountStore> =>
  new CacheMountStore(storage.db, await claimBuild(storage, 'one', project, scope));
const manifests = async (store: CacheMountStore, mount: Digest): Promise<readonly Digest[]> =>
  (await store.versions(mount)).map(({ manifest }) => manifest);

describe('versions of a cache mount', () => {
  it('are numbered, two of them kept; each names what it stands on, and what it replaced', async () => {
    const [mount, store] = [newMount(), await open()];
    expect(await store.versions(mount)).toEqual([]);
    expect(await store.publish(mount, version('a'))).toEqual({ version: 1, replaced: undefined });
    const [first] = await store.versions(mount);
    expect(first).toMatchObject({ scope: 'main', version: 1, manifest: digestOf('a') });
    const base: CacheMountVersionId = { scopeId: first?.scopeId ?? '', version: 1 };
    expect(await store.publish(mount, version('b', { base }))).toEqual({ version: 2, replaced: undefined });
    // Made from the first one too, by somebody who was slower.
    expect(await store.publish(mount, version('c', { base }))).toEqual({ version: 3, replaced: 2 });
    expect(await manifests(store, mount)).toEqual([digestOf('c'), digestOf('b')]);
    const rows = await storage.db.query(
      z.object({ base_version: z.string().nullable(), replaced: z.string().nullable() }),
      'SELECT base_version, replaced FROM cache_mount_versions WHERE mount = $1 ORDER BY version',
      [mount],
    );
    expect(rows).toEqual([
      { base_version: '1', replaced: null },
      { base_version: '1', replaced: '2' },
    ]);
  });

  it('that are merged hold the newest, or are refused', async () => {
    const [mount, store] = [newMount(), await open()];
    const merged = (newest: number | undefined) => ({ merged: { newest } });
    await store.publish(mount, version('a', merged(undefined)));
    await expect(store.publish(mount, version('b', merged(undefined)))).rejects.toMatchObject({ code: 'CONFLICT' });
    const all = await Promise.allSettled(['b', 'c', 'd'].map((name) => store.publish(mount, version(name, merged(1)))));
    expect(all.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(await store.versions(mount)).toHaveLength(2);
  });

  it('flow from trusted scopes to others and never back; other projects see none', async () => {
    const mount = newMount();
    const [main, pull] = [await open(), await open('pr-1')];
    await main.publish(mount, version('main'));
    expect(await manifests(pull, mount)).toEqual([digestOf('main')]);
    await pull.publish(mount, version('pull'));
    expect(await manifests(pull, mount)).toEqual([digestOf('pull'), digestOf('main')]);
    expect(await manifests(main, mount)).toEqual([digestOf('main')]);
    expect(await manifests(await open('pr-2'), mount)).toEqual([digestOf('main')]);
    expect(await manifests(await open('main', 'foreign'), mount)).toEqual([]);
    const inherited = (await pull.versions(mount)).at(-1);
    if (inherited === undefined) throw new Error('nothing inherited');
    await pull.forget(mount, inherited);
    expect(await manifests(main, mount)).toEqual([digestOf('main')]);
    await main.forget(mount, inherited);
    expect(await manifests(main, mount)).toEqual([]);
    expect((await main.publish(mount, version('later'))).version).toBe(2);
  });

  it('are published by a build that has ended, and not by one that was taken away', async () => {
    const mount = newMount();
    const ended = await claimBuild(storage);
    await storage.ledger.finish(ended, { type: 'cancelled', atMs: 1, reason: 'test' });
    await new CacheMountStore(storage.db, ended).publish(mount, version('a'));
    const lost = await claimBuild(storage);
    await goSilent(storage, lost.buildId);
    await storage.ledger.expired(1);
    for (const claim of [lost, { ...lost, fence: lost.fence + 1 }])
      await expect(new CacheMountStore(storage.db, claim).publish(mount, version('b'))).rejects.toMatchObject({
        code: 'FENCED',
      });
    expect(await manifests(await open(), mount)).toEqual([digestOf('a')]);
  });

  it('hold their blobs until nobody has used them for long', async () => {
    const limits = { graceMs: 0, retentionMs: 0, imageRetentionMs: 0, projectBytes: 1e12, totalBytes: 1e12 };
    const collector = new Collector({ db: storage.db, content: storage.content, limits });
    const [mount, store] = [newMount(), await open()];
    await store.publish(mount, version('held'));
    const removed = () =>
      storage.db.query(
        z.object({ digest: z.string() }),
        'SELECT digest FROM blobs WHERE removed_at IS NOT NULL AND digest = ANY ($1::text[]) ORDER BY digest',
        [['held', 'pack of held'].map(digestOf)],
      );
    const unused = (days: number) =>
      storage.db.execute("UPDATE cache_mount_versions SET used_at = now() - $2 * interval '1 day' WHERE mount = $1", [
        mount,
        days,
      ]);
    const collect = async (): Promise<void> => {
      await storage.db.execute("UPDATE blobs SET check_at = now(), used_at = now() - interval '90 days'");
      await collector.collect();
    };
    await unused(29);
    await collect();
    expect(await removed()).toEqual([]);
    const [found] = await store.versions(mount);
    if (found === undefined) throw new Error('no version');
    await unused(31);
    await store.used(mount, found);
    await collect();
    expect(await manifests(store, mount)).toHaveLength(1);
    await unused(31);
    await collect();
    expect(await manifests(store, mount)).toEqual([]);
    expect(await removed()).toHaveLength(2);
    // Out of use, the bytes may be gone: who publishes them again has to put them again.
    await expect(store.publish(mount, version('held'))).rejects.toMatchObject({ code: 'BLOB_MISSING' });
    await store.publish(mount, version('held'));
    expect(await removed()).toEqual([]);
  });
});

describe('the lock of a cache mount', () => {
  it('is held by one, given back, and lost with its claim', async () => {
    const mount = newMount();
    const claim = await claimBuild(storage);
    const [first, second] = [new CacheMountStore(storage.db, claim), await open()];
    expect(await first.lock(mount, 'a')).toBe(true);
    expect(await first.lock(mount, 'a')).toBe(true);
    expect(await first.lock(mount, 'b')).toBe(false);
    expect(await second.lock(mount, 'c')).toBe(false);
    expect(await (await open('pr-9')).lock(mount, 'd')).toBe(true);
    await second.unlock(mount, 'c');
    expect(await second.lock(mount, 'c')).toBe(false);
    await first.unlock(mount, 'a');
    expect(await second.lock(mount, 'c')).toBe(true);
    await second.unlock(mount, 'c');
    expect(await first.lock(mount, 'e')).toBe(true);
    await goSilent(storage, claim.buildId);
    await storage.ledger.expired(1);
    expect(await (await open()).lock(mount, 'f')).toBe(true);
    expect(await first.lock(mount, 'g')).toBe(false);
  });
});

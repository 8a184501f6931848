import { digestOf } from '#oci';
import { BlobIndex, BuilderRegistry, ImageTagCache, TokenStore } from '#storage';
import { Permission } from '#protocol';
import { isKilnError } from '#std';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStorage, type Storage } from './farm.ts';

let storage: Storage;
beforeAll(async () => {
  storage = await startStorage();
});
afterAll(() => storage[Symbol.asyncDispose]());

const code = (wanted: Parameters<typeof isKilnError>[1]) => (thrown: unknown) => isKilnError(thrown, wanted);

describe('tokens', () => {
  it('stand for a project and a scope until they expire or are revoked', async () => {
    const tokens = new TokenStore(storage.db);
    const ids = await storage.projects.ensure('acme', 'main');
    const token = await tokens.create({ ...ids, permissions: ['read'] });
    expect(token).toMatch(/^kiln_[0-9a-z]{40}$/);
    const principal = await tokens.verify(token);
    expect(principal).toMatchObject({ ...ids, project: 'acme', scope: 'main', permissions: ['read'] });
    const old = await tokens.create({ ...ids, permissions: Permission.options, expiresAt: new Date(Date.now() - 1) });
    for (const bad of [old, '', 'kiln_', `${token}x`, token.replace(/.$/, (last) => (last === '0' ? '1' : '0'))]) {
      await expect(tokens.verify(bad)).rejects.toSatisfy(code('UNAUTHENTICATED'));
    }
    await tokens.revoke(principal, principal.tokenId ?? '');
    await expect(tokens.verify(token)).rejects.toSatisfy(code('UNAUTHENTICATED'));
  });

  it('are kept as hashes, and made known once', async () => {
    const tokens = new TokenStore(storage.db);
    const ids = await storage.projects.ensure('acme', 'main');
    const token = `kiln_${'0123456789'.repeat(4)}`;
    await tokens.ensure(token, { ...ids, permissions: Permission.options });
    await tokens.ensure(token, { ...ids, permissions: Permission.options });
    expect((await tokens.verify(token)).scopeId).toBe(ids.scopeId);
    const other = await storage.projects.ensure('acme', 'other', { parent: 'main' });
    await expect(tokens.ensure(token, { ...other, permissions: [] })).rejects.toSatisfy(code('CONFLICT'));
    await tokens.ensure(token, { ...ids, permissions: ['read', 'admin'] });
    const told = "SELECT 1 FROM audit_entries WHERE action = 'token.ensure' AND project_id = $1";
    expect(await storage.db.execute(told, [ids.projectId])).toBe(2);
    const principal = await tokens.verify(token);
    expect(principal.permissions).toEqual(['read', 'admin']);
    await tokens.revoke(principal, principal.tokenId ?? '');
    const again = tokens.ensure(token, { ...ids, permissions: ['read'] });
    await expect(again).rejects.toSatisfy(code('CONFLICT'));
    const text = "SELECT 1 FROM tokens t WHERE t::text LIKE '%' || $1 || '%'";
    expect(await storage.db.execute(text, [token.slice(5)])).toBe(0);
  });
});

describe('projects', () => {
  it('are made once, however many ask', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => storage.projects.ensure('same', 'main')));
    expect(new Set(all.map((ids) => JSON.stringify(ids))).size).toBe(1);
    const child = await storage.projects.ensure('same', 'pr-1', { parent: 'main' });
    expect(await storage.projects.ensure('same', 'pr-1')).toEqual(child);
    await expect(storage.projects.ensure('same', 'pr-2', { parent: 'nowhere' })).rejects.toSatisfy(code('NOT_FOUND'));
    await expect(storage.projects.ensure('same', 'main', { parent: 'pr-1' })).rejects.toSatisfy(code('CONFLICT'));
    await expect(storage.projects.ensure('../x', 'main')).rejects.toSatisfy(code('INVALID_ARGUMENT'));
  });
});

describe('blobs', () => {
  it('are seen through grants alone', async () => {
    const blobs = new BlobIndex(storage.db);
    const [mine, other] = [
      await storage.projects.ensure('mine', 'main'),
      await storage.projects.ensure('other', 'main'),
    ];
    const many = Array.from({ length: 12_000 }, (_, index) => ({ digest: digestOf(`${index}`), sizeBytes: index }));
    await Promise.all([blobs.grant(mine.projectId, many), blobs.grant(mine.projectId, [...many].reverse())]);
    const digests = many.map(({ digest }) => digest);
    expect((await blobs.missing(mine.projectId, [...digests, digestOf('x')])).size).toBe(1);
    expect((await blobs.missing(other.projectId, digests)).size).toBe(many.length);
  });
});

describe('image tags', () => {
  it('are kept for one project, the later resolution winning', async () => {
    const [mine, other] = [
      await storage.projects.ensure('mine', 'main'),
      await storage.projects.ensure('other', 'main'),
    ];
    const inScopes = (projectId: string, ...ids: readonly [string, ...string[]]): ImageTagCache => {
      const [own, ...inherited] = ids.map((id) => ({ projectId, id, name: id }));
      if (own === undefined) throw new Error('no scope');
      return new ImageTagCache(storage.db, { projectId, scopes: [own, ...inherited] });
    };
    const tags = inScopes(mine.projectId, 'main');
    const descriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('c'), size: 1 };
    const image = (name: string) => ({
      digest: digestOf(name),
      manifest: { schemaVersion: 2 as const, config: descriptor, layers: [] },
      config: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers' as const, diff_ids: [] } },
      standIn: name === 'two',
    });
    expect(await tags.get('debian:12', 'linux/amd64', true)).toBeNull();
    await tags.put('debian:12', 'linux/amd64', image('two'), { resolvedAtMs: 2_000, known: false });
    await tags.put('debian:12', 'linux/amd64', image('one'), { resolvedAtMs: 1_000, known: false });
    const found = await tags.get('debian:12', 'linux/amd64', true);
    expect([found?.image.digest, found?.image.standIn, found?.resolvedAtMs]).toEqual([digestOf('two'), true, 2_000]);
    expect(await tags.get('debian:12', 'linux/arm64', true)).toBeNull();
    expect(await inScopes(other.projectId, 'main').get('debian:12', 'linux/amd64', true)).toBeNull();
    // What was told to somebody with credentials is for others with credentials alone, where the scope is read.
    const branch = inScopes(mine.projectId, 'branch', 'main');
    expect(await inScopes(mine.projectId, 'fork').get('debian:12', 'linux/amd64', false)).not.toBeNull();
    await tags.put('private:1', 'linux/amd64', image('one'), { resolvedAtMs: 1_000, known: true });
    await branch.put('private:2', 'linux/amd64', image('one'), { resolvedAtMs: 1_000, known: true });
    expect((await branch.get('private:1', 'linux/amd64', true))?.image.digest).toBe(digestOf('one'));
    expect(await branch.get('private:1', 'linux/amd64', false)).toBeNull();
    expect(await inScopes(mine.projectId, 'fork').get('private:1', 'linux/amd64', true)).toBeNull();
    expect(await tags.get('private:2', 'linux/amd64', true)).toBeNull();
  });
});

describe('builders', () => {
  it('are listed while they are heard of', async () => {
    const builders = new BuilderRegistry(storage.db);
    await builders.register('b-1', { pid: 42 });
    await builders.register('b-2');
    await builders.heartbeat('b-1', 'draining');
    await storage.db.execute("UPDATE builders SET heartbeat_at = now() - interval '1 hour' WHERE id = 'b-2'");
    expect(await builders.list(10_000)).toMatchObject([{ id: 'b-1', state: 'draining', pid: 42 }]);
  });

  it('hear when another has begun under their name', async () => {
    const builders = new BuilderRegistry(storage.db);
    const first = await builders.register('b-3');
    expect(await builders.heartbeat('b-3', 'ready')).toEqual(first);
    const second = await builders.register('b-3');
    expect(second.startedAtMs).not.toBe(first.startedAtMs);
    expect(await builders.heartbeat('b-3', 'ready')).toEqual(second);
    expect(await builders.heartbeat('forgotten', 'ready')).toEqual({ mayTake: true, startedAtMs: undefined });
  });
});

describe('a database that is away', () => {
  it('is UNAVAILABLE, in and out of transactions, and is found again', async () => {
    const ask = () => storage.db.execute('SELECT 1');
    const tell = () => storage.db.transaction((sql) => sql.execute('SELECT 1'));
    await ask();
    const during = storage.db.transaction(async (sql) => {
      await sql.execute('SELECT 1');
      await storage.postgres.stop();
      await sql.execute('SELECT 1');
    });
    await expect(during).rejects.toSatisfy(code('UNAVAILABLE'));
    for (const work of [ask, tell, ask]) await expect(work()).rejects.toSatisfy(code('UNAVAILABLE'));
    await storage.postgres.start();
    await ask();
    await tell();
  });
});

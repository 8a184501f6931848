import { RegistryCredentialStore } from '#storage';
import { AuditList, RegistryView } from '#protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { asker } from './caller.ts';
import { type Farm, secretKey, startFarm, tokenIn } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());
const ask = asker(() => farm);
const put = (host: string, body: object, token = farm.tokens.mine) => ask('put', `/v1/registries/${host}`, token, body);
const ScopeRow = z.object({ project_id: z.string(), id: z.string() });
const login = { username: 'ci', password: 'pa55-w0rd' };

describe('registry credentials', () => {
  it('are kept, shown without what is secret, and removed', async () => {
    for (const host of ['ghcr.io', 'registry.example.com:5000', 'index.docker.io'])
      expect((await put(host, { ...login, minimumTrust: 'branch' })).status).toBe(200);
    const replaced = await put('ghcr.io', { identityToken: 'pa55-t0ken', minimumTrust: 'protected' });
    expect(RegistryView.parse(replaced.body)).toMatchObject({
      host: 'ghcr.io',
      username: null,
      minimumTrust: 'protected',
    });
    const list = await ask('get', '/v1/registries', farm.tokens.mine);
    expect(list.body).toMatchObject({
      registries: [
        { host: 'docker.io', username: 'ci', minimumTrust: 'branch' },
        { host: 'ghcr.io' },
        { host: 'registry.example.com:5000' },
      ],
    });
    const one = await ask('get', '/v1/registries/docker.io', farm.tokens.mine);
    const entries = AuditList.parse((await ask('get', '/v1/audit', farm.tokens.mine)).body);
    expect(entries.entries[0]).toMatchObject({ action: 'registry.put', target: 'ghcr.io' });
    const rows =
      "SELECT 1 FROM registry_credentials r WHERE r::text LIKE '%pa55%' OR position('pa55'::bytea IN sealed) > 0";
    expect(await farm.db.execute(rows)).toBe(0);
    expect([replaced, list, one].map(({ text }) => text).join() + JSON.stringify(entries)).not.toContain('pa55');
    for (const status of [204, 404])
      expect((await ask('delete', '/v1/registries/docker.io', farm.tokens.mine)).status).toBe(status);
    expect((await ask('get', '/v1/registries/docker.io', farm.tokens.mine)).status).toBe(404);
  });

  it('are for who administers the project alone', async () => {
    await put('ghcr.io', login);
    for (const [token, status] of [
      ['', 401],
      [farm.tokens.reader, 403],
      [farm.tokens.other, 404],
    ] as const) {
      expect((await ask('get', '/v1/registries/ghcr.io', token)).status).toBe(status);
      expect((await ask('delete', '/v1/registries/ghcr.io', token)).status).toBe(status);
    }
    expect((await put('ghcr.io', login, farm.tokens.reader)).status).toBe(403);
    expect((await ask('get', '/v1/registries', farm.tokens.other)).body).toEqual({ registries: [] });
  });

  it('are out of the hands of who is trusted less', async () => {
    const low = await tokenIn(farm, 'low', 'branch');
    await put('ghcr.io', login);
    for (const minimumTrust of ['protected', 'branch'])
      expect((await put('ghcr.io', { ...login, minimumTrust }, low)).status).toBe(403);
    expect((await put('new.example', login, low)).body).toMatchObject({ status: 403, field: 'minimumTrust' });
    expect((await ask('delete', '/v1/registries/ghcr.io', low)).status).toBe(403);
    expect((await put('own.example', { ...login, minimumTrust: 'branch' }, low)).status).toBe(200);
    expect((await ask('delete', '/v1/registries/own.example', low)).status).toBe(204);
  });

  it('say what is wrong with them, and not what they are', async () => {
    for (const [host, body] of [
      ['GHCR.io', login],
      ['a%2Fb', login],
      ['ghcr.io', { ...login, minimumTrust: 'fork' }],
      ['ghcr.io', { username: 'pa55' }],
      ['ghcr.io', { password: 'pa55', user: 'pa55' }],
    ] as const) {
      const answer = await put(host, body);
      expect([host, body, answer.status]).toEqual([host, body, 400]);
      expect(answer.text).not.toContain('pa55');
    }
  });

  it('are opened for builds of scopes that are trusted with them', async () => {
    await put('ghcr.io', { ...login, minimumTrust: 'branch' });
    expect((await put('main.example', login)).body).toMatchObject({ minimumTrust: 'protected' });
    await put('release.example', { ...login, minimumTrust: 'release' }, await tokenIn(farm, 'v1', 'release'));
    await put('pr.example', { ...login, minimumTrust: 'pull-request' });
    const store = new RegistryCredentialStore(farm.db, Buffer.from(secretKey, 'hex'));
    const openedIn = async (scope: string, trust: string, project = 'mine'): Promise<readonly string[]> => {
      await ask('post', '/v1/scopes', project === 'mine' ? farm.tokens.mine : farm.tokens.other, {
        name: scope,
        trust,
      });
      const [row] = await farm.db.query(
        ScopeRow,
        'SELECT s.project_id, s.id FROM scopes s JOIN projects p ON p.id = s.project_id WHERE p.name = $1 AND s.name = $2',
        [project, scope],
      );
      if (row === undefined) throw new Error('no scope');
      const opened = await store.open({
        projectId: row.project_id,
        scopes: [{ projectId: row.project_id, id: row.id, name: scope }],
      });
      for (const [host, open] of opened) if (host !== 'evil.example') expect(open()).toEqual(login);
      // One that cannot be opened is in the way of those alone that need it.
      const evil = opened.get('evil.example');
      if (evil !== undefined) expect(evil).toThrow('credentials for evil.example cannot be opened');
      return [...opened.keys()].filter((host) => host !== 'registry.example.com:5000').toSorted();
    };
    expect(await openedIn('f', 'fork')).toEqual([]);
    expect(await openedIn('p', 'pull-request')).toEqual(['pr.example']);
    expect(await openedIn('b', 'branch')).toEqual(['ghcr.io', 'pr.example']);
    expect(await openedIn('m', 'protected')).toEqual(['ghcr.io', 'main.example', 'pr.example']);
    expect(await openedIn('m', 'protected', 'other')).toEqual([]);
    // Moved to another host or project, what is sealed opens nowhere.
    await farm.db.execute("UPDATE registry_credentials SET host = 'evil.example' WHERE host = 'ghcr.io'");
    expect(await openedIn('b', 'branch')).toEqual(['evil.example', 'pr.example']);
  });
});

import { AuditList, CreatedToken } from '#protocol';
import { ProjectStore, TeamStore } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asker } from './caller.ts';
import { type Farm, startFarm } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());
const ask = asker(() => farm);
const listed = async (token: string, query = ''): Promise<AuditList> =>
  AuditList.parse((await ask('get', `/v1/audit${query}`, token)).body);
const actions = async (token: string): Promise<readonly string[]> =>
  (await listed(token, '?limit=100')).entries.map(({ action }) => action);

describe('the audit log', () => {
  it('tells who did what, once, and no secret', async () => {
    const before = (await actions(farm.tokens.owner)).length;
    const body = { name: 'ci', permissions: ['read'] };
    const made = CreatedToken.parse((await ask('post', '/v1/tokens', farm.tokens.owner, body)).body);
    for (const _ of [1, 2]) await ask('delete', `/v1/tokens/${made.id}`, farm.tokens.mine);
    for (const _ of [1, 2]) await ask('put', '/v1/members/bob', farm.tokens.owner, { role: 'viewer' });
    await ask('delete', '/v1/members/bob', farm.tokens.owner);
    for (const _ of [1, 2]) await ask('post', '/v1/scopes', farm.tokens.mine, { name: 'x' });
    await ask('post', '/v1/scopes', farm.tokens.mine, { name: 'y', parent: 'nowhere' });
    const share = { project: 'mine', scope: 'main', reader: 'other' };
    const projects = new ProjectStore(farm.db);
    for (const _ of [1, 2]) await projects.share(share);
    for (const _ of [1, 2]) await projects.unshare(share);
    const entries = (await listed(farm.tokens.owner, '?limit=100')).entries.slice(0, -before);
    expect(entries.map(({ action }) => action).toReversed()).toEqual([
      ...[
        'token.create',
        'token.revoke',
        'member.put',
        'member.remove',
        'scope.create',
        'cache.share',
        'cache.unshare',
      ],
    ]);
    expect(entries.at(-1)).toMatchObject({ member: 'ada', project: 'mine', target: made.id, detail: { name: 'ci' } });
    expect(entries.at(-2)).toMatchObject({ member: null, target: made.id });
    expect(entries.at(-3)).toMatchObject({ project: null, target: 'bob', detail: { role: 'viewer', before: null } });
    expect(entries[0]).toMatchObject({ tokenId: null, member: null, target: 'main', detail: { reader: 'other' } });
    expect(JSON.stringify(entries)).not.toContain(made.token.slice(5));
  });

  it('is read by action and by who did it', async () => {
    await ask('post', '/v1/scopes', farm.tokens.owner, { name: 'filtered' });
    const some = async (query: string): Promise<ReadonlySet<string>> =>
      new Set((await listed(farm.tokens.owner, `?limit=100&${query}`)).entries.map(({ action }) => action));
    expect([...(await some('action=token'))].toSorted()).toEqual(['token.create', 'token.revoke']);
    expect([...(await some('action=token.create'))]).toEqual(['token.create']);
    expect([...(await some('action=scope&by=ada'))]).toEqual(['scope.create']);
    const [entry] = (await listed(farm.tokens.owner, '?action=scope&by=ada')).entries;
    expect((await listed(farm.tokens.owner, `?action=scope&by=${entry?.tokenId ?? ''}`)).entries).toContainEqual(entry);
    expect([...(await some('by=nobody'))]).toEqual([]);
    expect((await ask('get', '/v1/audit?action=Token', farm.tokens.owner)).body).toMatchObject({ field: 'action' });
  });

  it('is the project’s, and the team’s for its owners', async () => {
    await ask('put', '/v1/members/eve', farm.tokens.owner, { role: 'viewer' });
    expect(await actions(farm.tokens.owner)).toContain('member.put');
    // The operator's too, once.
    const { projectId, teamId } = await new ProjectStore(farm.db).ensure('mine', 'main');
    for (const _ of [1, 2]) await new TeamStore(farm.db).ensureMember({ projectId, teamId }, 'ada', 'owner');
    const { entries } = await listed(farm.tokens.owner, '?limit=100');
    const own = entries.filter(({ action, target }) => action === 'member.put' && target === 'ada');
    expect(own).toMatchObject([{ tokenId: null, member: null, detail: { role: 'owner', before: null } }]);
    await expect(new TeamStore(farm.db).ensureMember({ projectId, teamId }, '../x', 'owner')).rejects.toThrow('name');
    expect(await actions(farm.tokens.mine)).not.toContain('member.put');
    expect(await actions(farm.tokens.other)).toEqual(['scope.create']);
    expect((await ask('get', '/v1/audit', farm.tokens.reader)).status).toBe(403);
    expect((await ask('get', '/v1/audit', '')).status).toBe(401);
  });

  it('comes in pages', async () => {
    const all = (await listed(farm.tokens.mine, '?limit=100')).entries;
    const first = await listed(farm.tokens.mine, '?limit=2');
    const second = await listed(farm.tokens.mine, `?limit=100&cursor=${first.next ?? ''}`);
    expect([...first.entries, ...second.entries]).toEqual(all);
    for (const query of ['limit=0', 'cursor=x'])
      expect((await ask('get', `/v1/audit?${query}`, farm.tokens.mine)).status).toBe(400);
  });
});

import { CreatedToken, MemberList, ProjectList, ScopeList } from '#protocol';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asker } from './caller.ts';
import { type Farm, startFarm } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());
const ask = asker(() => farm);

const putMember = (name: string, role: string, token = farm.tokens.owner) =>
  ask('put', `/v1/members/${name}`, token, { role });
async function tokenOf(member: string, more: object, by = farm.tokens.owner): Promise<string> {
  const answer = await ask('post', '/v1/tokens', by, { name: 'own', permissions: ['read'], member, ...more });
  expect([answer.status, answer.body]).toMatchObject([201, { member }]);
  return CreatedToken.parse(answer.body).token;
}

describe('projects', () => {
  it('are made by owners of the team, and seen by its members', async () => {
    const answer = await ask('post', '/v1/projects', farm.tokens.owner, { name: 'web' });
    expect([answer.status, answer.body]).toMatchObject([201, { name: 'web', team: 'default' }]);
    expect((await ask('post', '/v1/projects', farm.tokens.owner, { name: 'web' })).status).toBe(409);
    for (const token of [farm.tokens.mine, farm.tokens.reader])
      expect((await ask('post', '/v1/projects', token, { name: 'x' })).status).toBe(403);
    expect((await ask('post', '/v1/projects', '', { name: 'x' })).status).toBe(401);
    expect((await ask('post', '/v1/projects', farm.tokens.owner, { name: '.' })).body).toMatchObject({ field: 'name' });
    const names = async (token: string, query = ''): Promise<readonly string[]> =>
      ProjectList.parse((await ask('get', `/v1/projects${query}`, token)).body).projects.map(({ name }) => name);
    expect(await names(farm.tokens.owner)).toEqual(['mine', 'other', 'web']);
    expect(await names(farm.tokens.owner, '?limit=1&cursor=mine')).toEqual(['other']);
    expect(await names(farm.tokens.mine)).toEqual(['mine']);
    const there = await tokenOf('ada', { project: 'web' });
    expect((await ask('get', '/v1/scopes', there)).body).toMatchObject({ scopes: [{ name: 'main' }] });
    // Of a member too, a token that does not administer stays in its project.
    const own = { name: 'x', permissions: ['read'], member: 'ada', project: 'web' };
    expect((await ask('post', '/v1/tokens', await tokenOf('ada', {}), own)).status).toBe(404);
  });

  it('of another team are not there', async () => {
    await farm.db.execute("INSERT INTO teams (id, name) VALUES ('t2', 'rivals')");
    await farm.db.execute("INSERT INTO projects (id, name, team_id) VALUES ('p2', 'theirs', 't2')");
    const body = { name: 'x', permissions: ['read'], project: 'theirs' };
    expect((await ask('post', '/v1/tokens', farm.tokens.owner, body)).status).toBe(404);
    expect((await ask('get', '/v1/projects', farm.tokens.owner)).text).not.toContain('theirs');
    expect((await ask('post', '/v1/projects', farm.tokens.owner, { name: 'theirs' })).status).toBe(409);
  });
});

describe('members', () => {
  it('come and go with their tokens', async () => {
    expect((await putMember('bob', 'developer')).body).toMatchObject({ name: 'bob', role: 'developer' });
    expect((await ask('post', '/v1/scopes', farm.tokens.owner, { name: 'dev', trust: 'branch' })).status).toBe(201);
    const bob = await tokenOf('bob', { permissions: ['build', 'read'], scope: 'dev' });
    expect((await ask('get', '/v1/builds', bob)).status).toBe(200);
    const list = MemberList.parse((await ask('get', '/v1/members', bob)).body);
    expect(list.members.map(({ name, role }) => `${name} ${role}`)).toEqual(['ada owner', 'bob developer']);
    for (const _ of [204, 404]) expect((await ask('delete', '/v1/members/bob', farm.tokens.owner)).status).toBe(_);
    expect((await ask('get', '/v1/builds', bob)).status).toBe(401);
  });

  it('may go while tokens are made for them', async () => {
    for (let round = 0; round < 4; round++) {
      await putMember('bea', 'developer');
      const body = { name: 'own', permissions: ['read'], member: 'bea' };
      const making = Array.from({ length: 8 }, () => ask('post', '/v1/tokens', farm.tokens.owner, body));
      const answers = await Promise.all([
        ...making.slice(0, 4),
        ask('delete', '/v1/members/bea', farm.tokens.owner),
        ...making.slice(4),
      ]);
      for (const { status } of answers) expect([201, 204, 404]).toContain(status);
    }
  });

  it('never do more than their role', async () => {
    await putMember('eve', 'viewer');
    const eve = await tokenOf('eve', {});
    const wanted = (more: object) => ({ name: 'x', permissions: ['read'], member: 'eve', ...more });
    for (const [token, body, status] of [
      [farm.tokens.owner, wanted({ permissions: ['build'] }), 403],
      [eve, wanted({}), 201],
      [eve, wanted({ member: 'ada' }), 403],
      [eve, { name: 'x', permissions: ['read'] }, 403],
    ] as const)
      expect([body, (await ask('post', '/v1/tokens', token, body)).status]).toEqual([body, status]);
    // What a role allows is asked at each request.
    await putMember('eve', 'maintainer');
    const strong = await tokenOf('eve', { permissions: ['build', 'read', 'admin'] });
    expect((await ask('post', '/v1/scopes', strong, { name: 'eves' })).status).toBe(201);
    expect((await ask('post', '/v1/projects', strong, { name: 'eves' })).status).toBe(403);
    await putMember('eve', 'developer');
    expect((await ask('post', '/v1/scopes', strong, { name: 'more' })).status).toBe(403);
    // A developer builds on branches alone; its scope is the protected one.
    expect((await ask('post', '/v1/cache/prune', strong, {})).status).toBe(403);
    expect((await ask('get', '/v1/builds', strong)).status).toBe(200);
    const within = { name: 'x', permissions: ['build'], member: 'eve', scope: 'dev' };
    expect((await ask('post', '/v1/tokens', farm.tokens.owner, within)).status).toBe(201);
    expect((await ask('post', '/v1/tokens', farm.tokens.owner, { ...within, scope: 'main' })).status).toBe(403);
  });

  it('always have an owner', async () => {
    expect((await putMember('ada', 'viewer')).status).toBe(409);
    expect((await ask('delete', '/v1/members/ada', farm.tokens.owner)).status).toBe(409);
    expect((await putMember('ada', 'owner')).status).toBe(200);
  });

  it('are changed by owners, and seen by members', async () => {
    expect((await putMember('x', 'viewer', farm.tokens.mine)).status).toBe(403);
    expect((await ask('delete', '/v1/members/ada', farm.tokens.mine)).status).toBe(403);
    expect((await ask('get', '/v1/members', farm.tokens.mine)).status).toBe(403);
    expect((await ask('get', '/v1/members', '')).status).toBe(401);
    expect((await putMember('x', 'king')).body).toMatchObject({ status: 400, field: 'role' });
    expect((await putMember('%20', 'viewer')).status).toBe(400);
  });
});

describe('scopes', () => {
  const make = (body: object, token = farm.tokens.mine) => ask('post', '/v1/scopes', token, body);

  it('are made once, with a parent and a trust', async () => {
    const body = { name: 'pr/7', parent: 'main', trust: 'pull-request' };
    for (const _ of [1, 2]) expect((await make(body)).body).toMatchObject(body);
    expect((await make({ ...body, trust: 'branch' })).status).toBe(409);
    expect((await make({ name: 'y', parent: 'nowhere' })).body).toMatchObject({ status: 404, field: 'parent' });
    expect((await make({ name: 'v1', trust: 'release' })).body).toMatchObject({ status: 403, field: 'trust' });
    expect((await make({ name: ' ' })).body).toMatchObject({ status: 400, field: 'name' });
    expect((await make({ name: 'z' }, farm.tokens.reader)).status).toBe(403);
    expect((await make({ name: 'z' }, '')).status).toBe(401);
    const names = async (token: string): Promise<readonly string[]> =>
      ScopeList.parse((await ask('get', '/v1/scopes', token)).body).scopes.map(({ name }) => name);
    expect(await names(farm.tokens.reader)).toContain('pr/7');
    expect(await names(farm.tokens.other)).toEqual(['main']);
  });
});

describe('a project’s badge', () => {
  it('is there once its administrator shows it, and tells nothing but two figures', async () => {
    const get = (query = '') => request(farm.url).get(`/v1/projects/mine/badge.svg${query}`);
    expect((await get()).status).toBe(404);
    const put = (token: string, project = 'mine') =>
      request(farm.url)
        .put(`/v1/projects/${project}/badge`)
        .set('authorization', `Bearer ${token}`)
        .send({ public: true });
    expect((await put(farm.tokens.builder)).status).toBe(403);
    expect((await put(farm.tokens.other)).status).toBe(404);
    expect((await put(farm.tokens.mine)).body).toMatchObject({
      public: true,
      url: expect.stringMatching(/\/v1\/projects\/mine\/badge\.svg$/) as unknown,
    });
    const path = '/v1/projects/mine';
    expect((await ask('get', path, farm.tokens.reader)).body).toMatchObject({
      ...{ name: 'mine', team: 'default', badge: { public: true } },
      quotas: { sentBytes: 0, sentQuotaBytes: 102_400 * 1024 ** 2, maxRunning: null, maxQueued: 10_000 },
    });
    expect((await ask('get', path, farm.tokens.other)).status).toBe(404);
    const shown = await get();
    expect([shown.status, shown.headers['content-type'], shown.headers['cache-control']]).toEqual([
      200,
      'image/svg+xml',
      'public, max-age=300',
    ]);
    expect(String(shown.body)).toContain('<title>kiln cache: no builds</title>');
    expect(String((await get('?show=build')).body)).toContain('<title>kiln build: none</title>');
    expect((await get('?show=tokens')).status).toBe(400);
    expect((await get('?shown=build')).status).toBe(400);
    const hidden = await request(farm.url)
      .put('/v1/projects/mine/badge')
      .set('authorization', `Bearer ${farm.tokens.mine}`)
      .send({ public: false });
    expect(hidden.body).toMatchObject({ public: false });
    expect((await get()).status).toBe(404);
  });
});

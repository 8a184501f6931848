import { BuildList, CacheStatistics } from '#protocol';
import { ProjectStore, TeamStore, TokenStore } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asker } from './caller.ts';
import { claimed, type Farm, startFarm, submitted, succeeded } from './farm.ts';

let farm: Farm;
/** of the project `mine` */
let build: string;
const ask = asker(() => farm);
beforeAll(async () => {
  farm = await startFarm();
  build = await submitted(farm);
  await succeeded(farm, await claimed(farm, build));
});
afterAll(() => farm[Symbol.asyncDispose]());

/** A token in the project `other` of the team; of a member, where one is named. */
async function tokenOf({
  role,
  permissions = ['read'],
  trust = 'branch',
}: {
  readonly role?: 'viewer' | 'owner';
  readonly permissions?: readonly ('build' | 'read' | 'admin')[];
  readonly trust?: 'fork' | 'pull-request' | 'branch' | 'protected';
}): Promise<string> {
  const ids = await new ProjectStore(farm.db).ensure('other', `of-${trust}`, { trust });
  const memberId = role === undefined ? null : await new TeamStore(farm.db).ensureMember(ids, `a-${role}`, role);
  return await new TokenStore(farm.db).create({ ...ids, permissions, memberId });
}

const paths = (): readonly string[] => [
  '/v1/builds',
  ...['', '/steps', '/explain', '/logs', '/logs/search?text=a'].map((rest) => `/v1/builds/${build}${rest}`),
  '/v1/cache/statistics',
  '/v1/cache/usage',
];
const inProject = (path: string, project: string): string =>
  `${path}${path.includes('?') ? '&' : '?'}project=${project}`;
const statuses = async (token: string, project: string): Promise<ReadonlySet<number>> =>
  new Set(await Promise.all(paths().map(async (path) => (await ask('get', inProject(path, project), token)).status)));

describe('another project of the team', () => {
  it('is read by a member whose token may read, of a branch and further', async () => {
    for (const trust of ['branch', 'protected'] as const) {
      const token = await tokenOf({ role: 'viewer', trust });
      expect([...(await statuses(token, 'mine'))]).toEqual([200]);
      const { builds } = BuildList.parse((await ask('get', '/v1/builds?project=mine', token)).body);
      expect(builds.map(({ id, project }) => [id, project])).toEqual([[build, 'mine']]);
      expect(BuildList.parse((await ask('get', '/v1/builds', token)).body).builds).toEqual([]);
    }
  });

  it.each([
    ['the project’s own', {}],
    ['of a pull request', { role: 'owner', trust: 'pull-request' }],
    ['of a fork', { role: 'owner', trust: 'fork' }],
  ] as const)('is not there for a token %s', async (_, of) => {
    const token = await tokenOf({ permissions: ['build', 'read', 'admin'], ...of });
    expect([...(await statuses(token, 'mine'))]).toEqual([404]);
    const told = await ask('get', '/v1/builds?project=mine', token);
    const absent = await ask('get', '/v1/builds?project=none', token);
    expect(JSON.stringify(told.body)).toBe(JSON.stringify(absent.body).replaceAll('none', 'mine'));
    const own = CacheStatistics.parse((await ask('get', '/v1/cache/statistics?by=project', token)).body);
    expect(own).toMatchObject({ project: 'other', builds: 0, groups: [] });
    expect((await ask('get', '/v1/builds?project=other', token)).status).toBe(200);
  });

  it('is nothing to a token that may not read, and to nobody', async () => {
    const token = await tokenOf({ role: 'owner', permissions: ['build', 'admin'] });
    expect([...(await statuses(token, 'mine'))]).toEqual([403]);
    expect([...(await statuses('', 'mine'))]).toEqual([401]);
  });

  it('of another team is not there, nor for who was let go', async () => {
    await farm.db.execute("INSERT INTO teams (id, name) VALUES ('t2', 'rivals')");
    await farm.db.execute("INSERT INTO projects (id, name, team_id) VALUES ('p2', 'theirs', 't2')");
    const token = await tokenOf({ role: 'owner', permissions: ['build', 'read', 'admin'], trust: 'protected' });
    expect([...(await statuses(token, 'theirs'))]).toEqual([404]);
    await farm.db.execute("UPDATE projects SET team_id = 't2' WHERE name = 'mine'");
    try {
      expect([...(await statuses(token, 'mine'))]).toEqual([404]);
      const own = CacheStatistics.parse((await ask('get', '/v1/cache/statistics?by=project', token)).body);
      expect(own.builds).toBe(0);
    } finally {
      await farm.db.execute(
        "UPDATE projects SET team_id = (SELECT team_id FROM projects WHERE name = 'other') WHERE name = 'mine'",
      );
    }
    await farm.db.execute("DELETE FROM members WHERE name = 'a-owner'");
    expect([...(await statuses(token, 'mine'))]).toEqual([401]);
  });

  it('is read alone: what changes anything stays in the own', async () => {
    const token = await tokenOf({ role: 'owner', permissions: ['build', 'read', 'admin'], trust: 'protected' });
    for (const [method, what] of [
      ['post', 'cancel'],
      ['post', 'retry'],
      ['get', 'outputs/0'],
    ] as const) {
      const body = method === 'post' ? {} : undefined;
      const named = await ask(method, `/v1/builds/${build}/${what}?project=mine`, token, body);
      expect([named.status, named.body]).toMatchObject([400, { field: 'project' }]);
      expect((await ask(method, `/v1/builds/${build}/${what}`, token, body)).status).toBe(404);
    }
    expect((await ask('get', `/v1/builds/${build}`, token)).status).toBe(404);
  });

  it('is counted with the others', async () => {
    const token = await tokenOf({ role: 'viewer' });
    const read = async (query: string) =>
      CacheStatistics.parse((await ask('get', `/v1/cache/statistics?days=1&${query}`, token)).body);
    expect(await read('by=project')).toMatchObject({ project: 'other', builds: 1 });
    expect(await read('by=day')).toMatchObject({ project: 'other', builds: 0 });
    expect(await read('by=project&project=mine')).toMatchObject({ project: 'mine', builds: 1 });
    expect(await read('by=project&project=other')).toMatchObject({ project: 'other', builds: 0 });
  });
});

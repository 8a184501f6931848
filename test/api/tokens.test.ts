import { CreatedToken, TokenList, type TokenRequestInput } from '#protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asker } from './caller.ts';
import { type Farm, startFarm, tokenIn } from './farm.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm({ KILN_TOKEN_DEFAULT_DAYS: '2', KILN_TOKEN_MAX_DAYS: '10' });
});
afterAll(() => farm[Symbol.asyncDispose]());
const ask = asker(() => farm);

const DAY_S = 86_400;
const create = (token: string, body: object) => ask('post', '/v1/tokens', token, body);
async function created(token: string, more: Partial<TokenRequestInput> = {}): Promise<CreatedToken> {
  const answer = await create(token, { name: 'ci', permissions: ['build', 'read'], ...more });
  expect([answer.status, answer.body]).toMatchObject([201, {}]);
  return CreatedToken.parse(answer.body);
}
async function listed(token: string, query = ''): Promise<TokenList> {
  return TokenList.parse((await ask('get', `/v1/tokens${query}`, token)).body);
}

describe('making a token', () => {
  it('shows it once, and it works until it is revoked', async () => {
    const answer = await create(farm.tokens.mine, { name: 'ci', permissions: ['read', 'build', 'read'] });
    expect([answer.status, answer.headers['cache-control']]).toEqual([201, 'no-store']);
    const { token, ...view } = CreatedToken.parse(answer.body);
    expect(view).toMatchObject({ name: 'ci', project: 'mine', scope: 'main', permissions: ['build', 'read'] });
    const first = (await listed(farm.tokens.mine)).tokens[0];
    expect(first).toEqual(view);
    expect((await ask('get', '/v1/builds', token)).status).toBe(200);
    expect((await listed(farm.tokens.mine)).tokens[0]?.lastUsedAt).not.toBeNull();
    for (const _ of [1, 2]) expect((await ask('delete', `/v1/tokens/${view.id}`, farm.tokens.mine)).status).toBe(204);
    expect((await ask('get', '/v1/builds', token)).status).toBe(401);
    expect((await listed(farm.tokens.mine)).tokens.map(({ id }) => id)).not.toContain(view.id);
    expect((await listed(farm.tokens.mine, '?all=true')).tokens[0]?.revokedAt).not.toBeNull();
  });

  it('ends it when it is said, within what the farm allows', async () => {
    const livesFor = ({ createdAt, expiresAt }: CreatedToken): number =>
      Math.round((Date.parse(expiresAt ?? '') - Date.parse(createdAt)) / 1_000 / 600) * 600;
    expect(livesFor(await created(farm.tokens.mine))).toBe(2 * DAY_S);
    expect(livesFor(await created(farm.tokens.mine, { expiresInSeconds: DAY_S }))).toBe(DAY_S);
    const tooLong = { name: 'x', permissions: ['read'], expiresInSeconds: 11 * DAY_S };
    expect((await create(farm.tokens.mine, tooLong)).body).toMatchObject({ status: 400, field: 'expiresInSeconds' });
  });

  it('names the field that is wrong', async () => {
    const right = { name: 'ci', permissions: ['read'] };
    for (const [field, wrong] of Object.entries({
      name: { ...right, name: '' },
      permissions: { ...right, permissions: [] },
      'permissions[0]': { ...right, permissions: ['builds:write'] },
      scope: { ...right, scope: '../x' },
      expiresInSeconds: { ...right, expiresInSeconds: 1 },
    })) {
      expect((await create(farm.tokens.mine, wrong)).body).toMatchObject({ status: 400, field });
    }
    expect((await create(farm.tokens.mine, { ...right, scope: 'nowhere' })).body).toMatchObject({
      status: 404,
      field: 'scope',
    });
    expect((await create('', right)).status).toBe(401);
  });

  it('gives nobody more than he has', async () => {
    const wanted = (more: object) => ({ name: 'x', permissions: ['read'], ...more });
    const low = await tokenIn(farm, 'low', 'fork', ['build', 'read', 'admin']);
    const narrow = await tokenIn(farm, 'low', 'fork', ['read', 'admin']);
    await tokenIn(farm, 'v1', 'release', ['read']);
    for (const [token, body, status] of [
      [farm.tokens.reader, wanted({}), 403],
      [await tokenIn(farm, 'low', 'fork', ['build', 'read']), wanted({ permissions: ['build'] }), 403],
      [narrow, wanted({ permissions: ['build'] }), 403],
      [low, wanted({ scope: 'main' }), 403],
      [farm.tokens.mine, wanted({ scope: 'v1' }), 403],
      [farm.tokens.mine, wanted({ member: 'ada' }), 403],
      [farm.tokens.mine, wanted({ project: 'other' }), 404],
      [farm.tokens.mine, wanted({ project: 'nothing' }), 404],
      [farm.tokens.mine, wanted({ scope: 'low' }), 201],
      [low, wanted({}), 201],
    ] as const) {
      expect([body, (await create(token, body)).status]).toEqual([body, status]);
    }
  });
});

describe('revoking a token', () => {
  it('ends those that were made with it, wherever they are', async () => {
    const first = await created(farm.tokens.owner, { permissions: ['build', 'read', 'admin'], member: 'ada' });
    const second = await created(first.token, { permissions: ['read', 'admin'], member: 'ada', project: 'other' });
    const third = await created(second.token, { permissions: ['read'] });
    const apart = await created(farm.tokens.owner);
    expect((await ask('delete', `/v1/tokens/${first.id}`, farm.tokens.owner)).status).toBe(204);
    for (const { token } of [first, second, third]) expect((await ask('get', '/v1/builds', token)).status).toBe(401);
    expect((await ask('get', '/v1/builds', apart.token)).status).toBe(200);
  });

  it('leaves none that was being made with it', async () => {
    const { id, token } = await created(farm.tokens.mine, { permissions: ['read', 'admin'] });
    const body = { name: 'x', permissions: ['read'] };
    const making = Array.from({ length: 10 }, () => create(token, body));
    const [revoked, ...answers] = await Promise.all([ask('delete', `/v1/tokens/${id}`, farm.tokens.mine), ...making]);
    expect(revoked.status).toBe(204);
    for (const answer of answers) {
      expect([201, 401]).toContain(answer.status);
      if (answer.status === 201)
        expect((await ask('get', '/v1/builds', CreatedToken.parse(answer.body).token)).status).toBe(401);
    }
  });

  it('is not for who is trusted less', async () => {
    const { id } = await created(farm.tokens.mine);
    const low = await tokenIn(farm, 'low', 'fork', ['build', 'read', 'admin']);
    expect((await ask('delete', `/v1/tokens/${id}`, low)).status).toBe(403);
    const own = await created(low);
    expect((await ask('delete', `/v1/tokens/${own.id}`, low)).status).toBe(204);
  });
});

describe('tokens of another project', () => {
  it('are not there', async () => {
    const { id } = await created(farm.tokens.mine);
    expect((await listed(farm.tokens.other)).tokens.map((token) => token.id)).not.toContain(id);
    for (const each of [id, 'nothing']) {
      const answer = await ask('delete', `/v1/tokens/${each}`, farm.tokens.other);
      expect([answer.status, answer.body]).toMatchObject([404, { detail: 'there is no such token' }]);
    }
    // Nor are others of the own project to who does not administer it.
    expect((await ask('delete', `/v1/tokens/${id}`, farm.tokens.reader)).status).toBe(404);
    expect((await listed(farm.tokens.reader)).tokens).toHaveLength(1);
  });
});

describe('the list', () => {
  it('comes in pages, the newest first', async () => {
    const made = [await created(farm.tokens.mine), await created(farm.tokens.mine), await created(farm.tokens.mine)];
    const first = await listed(farm.tokens.mine, '?limit=2');
    const second = await listed(farm.tokens.mine, `?limit=2&cursor=${first.next ?? ''}`);
    expect([...first.tokens, ...second.tokens].slice(0, 3).map(({ id }) => id)).toEqual(
      made.toReversed().map(({ id }) => id),
    );
    expect((await ask('get', '/v1/tokens?limit=101', farm.tokens.mine)).body).toMatchObject({ field: 'limit' });
  });
});

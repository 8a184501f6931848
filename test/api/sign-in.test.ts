import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MeView, SignInCode } from '#protocol';
import { asker } from './caller.ts';
import { type Farm, startFarm, submitted } from './farm.ts';

const PUBLIC = 'https://kiln.example.com';

let farm: Farm;
beforeAll(async () => {
  farm = await startFarm();
});
afterAll(() => farm[Symbol.asyncDispose]());
const ask = asker(() => farm);
const signIn = (body: object) => request(farm.url).post('/v1/session').send(body);
const cookieOf = ({ headers }: { readonly headers: Record<string, unknown> }): string =>
  String([headers['set-cookie']].flat()[0]);
/** What a browser keeps of a cookie. */
const kept = (cookie: string): string => cookie.split(';')[0] ?? '';
const session = async (token: string): Promise<string> => kept(cookieOf(await signIn({ token })));
const read = (cookie: string) => request(farm.url).get('/v1/me').set('cookie', cookie);
const cancel = (cookie: string, id: string) =>
  request(farm.url).post(`/v1/builds/${id}/cancel`).set('cookie', cookie).set('x-kiln-csrf', '1');

describe('signing in', () => {
  it('gives a cookie that scripts and other sites do not have, and never the token', async () => {
    const answer = await signIn({ token: farm.tokens.mine });
    expect(answer.status).toBe(200);
    expect(MeView.parse(answer.body).project).toBe('mine');
    const cookie = cookieOf(answer);
    expect(cookie).toMatch(
      /^__Host-kiln-session=[0-9a-z]{40}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+; Secure$/,
    );
    expect(cookie).not.toContain(farm.tokens.mine);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect((await read(kept(cookie))).body).toEqual(answer.body);
  });

  it.each([
    [{ token: 'kiln_nope' }, 401],
    [{ code: 'nope' }, 401],
    [{}, 400],
    [{ token: 'x', code: 'y' }, 400],
    [{ token: 'x'.repeat(1_000) }, 400],
  ])('refuses %j', async (body, status) => {
    const answer = await signIn(body);
    expect([answer.status, answer.headers['set-cookie']]).toEqual([status, undefined]);
  });

  it('is by token alone where the farm has no issuer', async () => {
    expect((await request(farm.url).get('/v1/session/ways')).body).toEqual({ oidc: null });
    for (const path of ['/v1/session/oidc', '/v1/session/oidc/callback?code=x&state=y', '/v1/session/oidc/end'])
      expect((await request(farm.url).get(path)).body).toMatchObject({
        status: 404,
        hint: expect.stringContaining('ISSUER') as unknown,
      });
  });

  it('is not for pages of other sites', async () => {
    const asked = () => signIn({ token: farm.tokens.mine });
    for (const [name, value] of [
      ['origin', 'https://evil.example'],
      ['origin', 'null'],
      ['sec-fetch-site', 'cross-site'],
      ['sec-fetch-site', 'same-site'],
    ] as const)
      expect((await asked().set(name, value)).status).toBe(403);
    expect((await asked().set('origin', PUBLIC).set('sec-fetch-site', 'same-origin')).status).toBe(200);
  });
});

describe('a session', () => {
  it('may what its token may', async () => {
    const reader = await session(farm.tokens.reader);
    const id = await submitted(farm);
    expect((await cancel(reader, id)).status).toBe(403);
    const other = await session(farm.tokens.other);
    expect((await cancel(other, id)).status).toBe(404);
    expect((await cancel(await session(farm.tokens.mine), id)).status).toBe(202);
  });

  it('changes nothing without the header, or for another site', async () => {
    const cookie = await session(farm.tokens.mine);
    const id = await submitted(farm);
    const bare = await request(farm.url).post(`/v1/builds/${id}/cancel`).set('cookie', cookie);
    expect(bare.body).toMatchObject({ status: 403, field: 'X-Kiln-CSRF' });
    expect((await cancel(cookie, id).set('origin', 'https://evil.example')).body).toMatchObject({ field: 'Origin' });
    expect((await cancel(cookie, id).set('sec-fetch-site', 'same-site')).status).toBe(403);
    expect((await ask('get', `/v1/builds/${id}`, farm.tokens.mine)).body).toMatchObject({ state: 'queued' });
    // A token needs none of it.
    const byToken = await ask('post', `/v1/builds/${id}/cancel`, farm.tokens.mine).set(
      'origin',
      'https://evil.example',
    );
    expect(byToken.status).toBe(202);
  });

  it('ends by DELETE, once and for all', async () => {
    const cookie = await session(farm.tokens.mine);
    const end = () => request(farm.url).delete('/v1/session').set('cookie', cookie);
    expect((await end()).status).toBe(403);
    const ended = await end().set('x-kiln-csrf', '1');
    expect([ended.status, cookieOf(ended)]).toEqual([204, expect.stringContaining('Max-Age=0')]);
    expect((await read(cookie)).status).toBe(401);
    expect((await request(farm.url).delete('/v1/session')).status).toBe(204);
  });

  it('ends with its token, and with its time', async () => {
    const made = await ask('post', '/v1/tokens', farm.tokens.mine, { name: 'x', permissions: ['read'] });
    const { id, token } = made.body as { id: string; token: string };
    const cookie = await session(token);
    expect((await read(cookie)).status).toBe(200);
    expect((await ask('delete', `/v1/tokens/${id}`, farm.tokens.mine)).status).toBe(204);
    expect((await read(cookie)).body).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
    const old = await session(farm.tokens.reader);
    await farm.db.execute(`UPDATE browser_sessions SET expires_at = now() - interval '1 second'`, []);
    expect((await read(old)).status).toBe(401);
  });

  it('is none where the cookie is somebody’s invention', async () => {
    for (const value of ['', 'x', 'a'.repeat(40), farm.tokens.mine, 'a'.repeat(5_000)])
      expect((await read(`__Host-kiln-session=${value}`)).status).toBe(401);
  });
});

describe('a code', () => {
  it('signs in once, as whoever asked for it', async () => {
    const { code, url } = SignInCode.parse((await ask('post', '/v1/session/codes', farm.tokens.reader)).body);
    expect(url).toBe(`${PUBLIC}/sign-in#code=${code}`);
    const answer = await signIn({ code });
    expect(MeView.parse(answer.body).permissions).toEqual(['read']);
    expect((await signIn({ code })).status).toBe(401);
    // It is no session, and no token.
    expect((await read(`__Host-kiln-session=${code}`)).status).toBe(401);
    expect((await ask('post', '/v1/session/codes', '')).status).toBe(401);
  });

  it('is good for minutes', async () => {
    const { code } = SignInCode.parse((await ask('post', '/v1/session/codes', farm.tokens.mine)).body);
    await farm.db.execute(`UPDATE browser_sessions SET expires_at = now() - interval '1 second'`, []);
    expect((await signIn({ code })).status).toBe(401);
  });
});

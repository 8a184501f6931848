import { MeView, MemberList, SignOutWay } from '#protocol';
import { systemClock, systemRandom } from '#std';
import { FLOW_MS, ProjectStore, SignInFlows, TeamStore, TokenStore } from '#storage';
import { OidcIssuer, type Visitor } from '#testing';
import { generateKeyPair } from 'jose';
import request, { type Response } from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asker } from './caller.ts';
import { type Farm, secretKey, startFarm } from './farm.ts';
import { describeSessionProject } from './session-project.ts';

const PUBLIC = 'https://kiln.example.com';

let farm: Farm;
let issuer: OidcIssuer;
beforeAll(async () => {
  issuer = await OidcIssuer.start();
  farm = await startFarm({
    KILN_OIDC_EGRESS_ALLOW: '127.0.0.0/8',
    KILN_SIGNIN_OIDC_ISSUER: issuer.url,
    KILN_SIGNIN_OIDC_CLIENT_ID: 'kiln',
    KILN_SIGNIN_OIDC_CLIENT_SECRET: 's3cret',
    KILN_SIGNIN_OIDC_NAME: 'Acme',
    KILN_SIGNIN_OIDC_PROJECT: 'mine',
    KILN_SIGNIN_OIDC_ADMIT: 'guests.example=viewer',
  });
  for (const [name, email] of [
    ['ada', 'ada@example.com'],
    ['bob', 'bob@example.com'],
  ] as const)
    expect((await put(name, { role: 'owner', email })).status).toBe(200);
});
afterAll(async () => {
  await farm[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});
const ask = asker(() => farm);
const put = (name: string, body: object) => ask('put', `/v1/members/${name}`, farm.tokens.owner, body);
const get = (path: string, cookie = '') => request(farm.url).get(path).set('cookie', cookie);
const person = (sub: string, email = `${sub}@example.com`, verified = true): Visitor => ({
  claims: { sub, email, email_verified: verified },
});
const cookiesOf = ({ headers }: Response): readonly string[] => [headers['set-cookie'] ?? []].flat();
const kept = (response: Response, name: string): string =>
  cookiesOf(response)
    .find((each) => each.startsWith(`__Host-kiln-${name}=`))
    ?.split(';')[0] ?? '';

/** A browser that was sent to the issuer. */
async function begin(query = ''): Promise<{ readonly cookie: string; readonly at: URL; readonly answer: Response }> {
  const answer = await get(`/v1/session/oidc${query}`);
  expect(answer.status).toBe(303);
  return { cookie: kept(answer, 'sign-in'), at: new URL(answer.headers['location'] ?? ''), answer };
}
/** What the farm says to who comes back. */
const comeBack = (to: URL, cookie: string) => get(`${to.pathname}${to.search}`, cookie);
async function signIn(visitor: Visitor, query = ''): Promise<Response> {
  const { cookie, at } = await begin(query);
  return await comeBack(issuer.pages.approve(at, visitor), cookie);
}
/** A token of a member's own, made with a session. */
async function makeToken(cookie: string, member: string): Promise<string> {
  const made = await request(farm.url)
    .post('/v1/tokens')
    .set({ cookie, 'x-kiln-csrf': '1' })
    .send({ name: 'kept', member, permissions: ['read'] });
  expect(made.status).toBe(201);
  return (made.body as { token: string }).token;
}
const told = (response: Response) => [response.status, response.headers['location'], kept(response, 'session')];
const failed = (why: string) => [303, `/sign-in?failed=${why}`, ''];

describe('somebody who comes from the issuer', () => {
  it('is sent there with all that binds the answer to his browser, and nothing that is secret', async () => {
    const { at, answer } = await begin('?to=/cache');
    expect(`${at.origin}${at.pathname}`).toBe(`${issuer.url}/authorize`);
    expect(Object.fromEntries(at.searchParams)).toEqual({
      ...{ response_type: 'code', client_id: 'kiln', scope: 'openid email profile', code_challenge_method: 'S256' },
      redirect_uri: `${PUBLIC}/v1/session/oidc/callback`,
      state: expect.stringMatching(/^[0-9a-z]{40}$/) as unknown,
      nonce: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
      code_challenge: expect.stringMatching(/^[\w-]{43}$/) as unknown,
    });
    expect(cookiesOf(answer)).toEqual([
      expect.stringMatching(
        /^__Host-kiln-sign-in=[\w-]{100,400}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=600; Secure$/,
      ),
    ]);
    expect((await get('/v1/session/ways')).body).toEqual({ oidc: { name: 'Acme' } });
  });

  it('is signed in as the member with his verified address, in a session of his own', async () => {
    const first = await signIn(person('ada', 'Ada@Example.com'), '?to=/settings/audit%3Faction=token');
    expect([first.status, first.headers['location']]).toEqual([303, '/settings/audit?action=token']);
    expect(cookiesOf(first)).toEqual([
      expect.stringMatching(/^__Host-kiln-sign-in=; .*Max-Age=0/),
      expect.stringMatching(
        /^__Host-kiln-session=[0-9a-z]{40}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43\d{3}; Secure$/,
      ),
    ]);
    const me = MeView.parse((await get('/v1/me', kept(first, 'session'))).body);
    expect(me).toMatchObject({
      kind: 'member',
      project: 'mine',
      scope: 'main',
      member: { name: 'ada', role: 'owner' },
    });
    expect(kept(await signIn(person('ada')), 'session')).not.toBe(kept(first, 'session'));
    const { entries } = (await ask('get', '/v1/audit?action=session', farm.tokens.owner)).body as {
      entries: unknown[];
    };
    expect(entries[0]).toMatchObject({ action: 'session.begin', member: 'ada', detail: { first: false } });
    // What is nobody's to keep is in no list.
    const { tokens } = (await ask('get', '/v1/tokens', farm.tokens.owner)).body as { tokens: { name: string }[] };
    expect(tokens.map(({ name }) => name)).not.toContain('browser');
  });

  it('may what the role may, and nothing once he is no member', async () => {
    expect((await put('eve', { role: 'viewer', email: 'eve@example.com' })).status).toBe(200);
    const cookie = kept(await signIn(person('eve')), 'session');
    expect(MeView.parse((await get('/v1/me', cookie)).body).permissions).toEqual(['read']);
    await put('eve', { role: 'maintainer' });
    expect(MeView.parse((await get('/v1/me', cookie)).body).permissions).toEqual(['build', 'read', 'admin']);
    expect((await ask('delete', '/v1/members/eve', farm.tokens.owner)).status).toBe(204);
    expect((await get('/v1/me', cookie)).status).toBe(401);
    expect(told(await signIn(person('eve')))).toEqual(failed('unknown'));
  });

  it('keeps the role where an address alone is said, and is nobody without one', async () => {
    await put('iris', { role: 'maintainer' });
    expect((await put('iris', { email: 'iris@example.com' })).body).toMatchObject({ role: 'maintainer' });
    expect((await put('nobody', { email: 'no@example.com' })).body).toMatchObject({ status: 400, field: 'role' });
  });

  it('signs out for good', async () => {
    const cookie = kept(await signIn(person('ada')), 'session');
    const out = await request(farm.url).delete('/v1/session').set('cookie', cookie).set('x-kiln-csrf', '1');
    expect([out.status, (await get('/v1/me', cookie)).status]).toEqual([204, 401]);
    const alive = `SELECT 1 FROM tokens WHERE name = 'browser' AND member_id IS NOT NULL AND expires_at > now()
      AND id NOT IN (SELECT token_id FROM browser_sessions)`;
    expect(await farm.db.execute(alive, [])).toBe(0);
    // At the issuer he still is, until he goes there.
    const { name, url } = SignOutWay.parse((await get('/v1/session/oidc/end')).body);
    expect([name, url]).toEqual(['Acme', expect.stringContaining(`${issuer.url}/end?`)]);
  });

  it('is shown the first page where the one that he wanted is too long for what a browser keeps', async () => {
    const long = await begin(`?to=/${encodeURIComponent('é'.repeat(1_900))}`);
    expect(long.cookie.length).toBeLessThan(1_000);
    const answer = await comeBack(issuer.pages.approve(long.at, person('bob')), long.cookie);
    expect([answer.status, answer.headers['location']]).toEqual([303, '/']);
  });

  it('is told where the address is asked for alone', async () => {
    const userInfo = { email: 'bob@example.com', email_verified: true };
    const answer = await signIn({ claims: { sub: 'bob' }, userInfo });
    expect(MeView.parse((await get('/v1/me', kept(answer, 'session'))).body).member?.name).toBe('bob');
  });

  it.each(['https://evil.example', '//evil.example', '/\\evil.example', '\\\\evil.example', '/..//evil.example', 'x'])(
    'goes to a page of the dashboard, not to %s',
    async (to) => {
      const answer = await signIn(person('ada'), `?to=${encodeURIComponent(to)}`);
      expect(answer.headers['location']).toMatch(/^\/(?![/\\])/);
      expect(new URL(answer.headers['location'] ?? '', PUBLIC).origin).toBe(PUBLIC);
    },
  );
});

describe('somebody whom the team knows already', () => {
  it('stays the member that he is, where an owner gives his new address to another', async () => {
    await put('gus', { role: 'developer' });
    const { location } = (await signIn(person('moved', 'moved@guests.example'))).headers;
    expect(location).toBe('/');
    await put('gus', { role: 'developer', email: 'new-moved@example.com' });
    const answer = await signIn(person('moved', 'new-moved@example.com'));
    expect(MeView.parse((await get('/v1/me', kept(answer, 'session'))).body).member?.name).toBe('moved');
  });
});

describe('nobody is signed in', () => {
  it('whom no member is, whose address is not verified, or who is somebody else by now', async () => {
    expect(told(await signIn(person('mallory')))).toEqual(failed('unknown'));
    expect(told(await signIn(person('ada-2', 'ada@example.com', false)))).toEqual(failed('unverified'));
    expect(told(await signIn({ claims: { sub: 'ada-2' } }))).toEqual(failed('unverified'));
    expect(told(await signIn(person('ada-2', 'ada@example.com')))).toEqual(failed('taken'));
    // Known by the subject, whatever the address is now.
    expect((await signIn(person('ada', 'new@example.com', false))).headers['location']).toBe('/');
    expect(told(await signIn(person('ada'), '?project=other2'))).toEqual(failed('project'));
    // An owner may say that it is somebody else.
    const before = kept(await signIn(person('ada')), 'session');
    const token = await makeToken(before, 'ada');
    await put('ada', { role: 'owner', email: 'ada@example.com' });
    expect((await get('/v1/me', before)).status).toBe(401);
    // What somebody made of his session goes with it.
    expect((await ask('get', '/v1/me', token)).status).toBe(401);
    expect((await signIn(person('ada-2', 'ada@example.com'))).headers['location']).toBe('/');
    const members = MemberList.parse((await ask('get', '/v1/members', farm.tokens.owner)).body).members;
    expect(members.find(({ name }) => name === 'ada')).toMatchObject({ email: 'ada@example.com', subject: 'ada-2' });
    expect((await put('bob', { role: 'owner', email: 'ADA@example.com' })).body).toMatchObject({
      field: 'email',
      status: 409,
    });
  });

  it('with what a session of long ago made, once an owner says that it was somebody else', async () => {
    await put('ann', { role: 'maintainer', email: 'ann@example.com' });
    const token = await makeToken(kept(await signIn(person('ann')), 'session'), 'ann');
    await farm.db.execute(
      `UPDATE tokens SET expires_at = now() - interval '40 days'
       WHERE name = 'browser' AND member_id = (SELECT id FROM members WHERE name = 'ann')`,
      [],
    );
    await new TokenStore(farm.db).sweep();
    expect((await ask('get', '/v1/me', token)).status).toBe(200);
    await put('ann', { role: 'maintainer', email: 'ann@example.com' });
    expect((await ask('get', '/v1/me', token)).status).toBe(401);
  });

  it('by an answer that was not asked for, by another browser, twice, or too late', async () => {
    const mine = await begin();
    const theirs = await begin();
    const to = issuer.pages.approve(mine.at, person('bob'));
    expect(told(await comeBack(to, theirs.cookie))).toEqual(failed('expired'));
    expect(told(await comeBack(to, ''))).toEqual(failed('expired'));
    const forged = new URL(to);
    forged.searchParams.set('state', 'a'.repeat(40));
    expect(told(await comeBack(forged, mine.cookie))).toEqual(failed('expired'));
    expect((await comeBack(to, mine.cookie)).headers['location']).toBe('/');
    expect(told(await comeBack(to, mine.cookie))).toEqual(failed('expired'));
    const { at: expired } = await begin();
    const key = Buffer.from(secretKey, 'hex');
    const clock = { ...systemClock, nowMs: () => Date.now() - FLOW_MS };
    const late = new SignInFlows({ db: farm.db, random: systemRandom, clock, key }).begin({ to: '/', project: null });
    expired.searchParams.set('state', late.state);
    const cookie = `__Host-kiln-sign-in=${late.browser}`;
    expect(told(await comeBack(issuer.pages.approve(expired, person('bob')), cookie))).toEqual(failed('expired'));
    const bent = await begin();
    const changed = `${bent.cookie.slice(0, -4)}AAAA`;
    expect(told(await comeBack(issuer.pages.approve(bent.at, person('bob')), changed))).toEqual(failed('expired'));
  });

  it('nor kept from it by others, who begin as often as they like', async () => {
    const rows = (): Promise<number> => farm.db.execute('SELECT FROM sign_in_flows');
    const before = await rows();
    const mine = await begin();
    for (let n = 0; n < 20; n++) await begin(`?to=/${n}`);
    expect(await rows()).toBe(before);
    const answer = await comeBack(issuer.pages.approve(mine.at, person('bob')), mine.cookie);
    expect(answer.headers['location']).toBe('/');
  });

  it('by a code that was used, or of another flow', async () => {
    const [one, two] = [await begin(), await begin()];
    const of = (asked: URL, code: string): URL => {
      const to = issuer.pages.approve(asked, person('bob'));
      to.searchParams.set('code', code);
      return to;
    };
    const code = issuer.pages.approve(one.at, person('bob')).searchParams.get('code') ?? '';
    // PKCE: the code is of the first one's challenge.
    expect(told(await comeBack(of(two.at, code), two.cookie))).toEqual(failed('refused'));
    expect(told(await comeBack(of(one.at, code), one.cookie))).toEqual(failed('refused'));
  });

  it('by an id token that does not hold', async () => {
    const { privateKey } = await generateKeyPair('RS256');
    const past = Math.floor(Date.now() / 1_000) - 3_600;
    const { claims } = person('bob');
    const wrong: readonly (readonly [string, Visitor])[] = [
      ['nonce', { claims: { ...claims, nonce: 'another' } }],
      ['no nonce', { claims, sign: { without: 'nonce' } }],
      ['audience', { claims: { ...claims, aud: 'another' } }],
      ['party', { claims: { ...claims, aud: ['kiln', 'another'], azp: 'another' } }],
      ['issuer', { claims: { ...claims, iss: 'https://evil.example' } }],
      ['end', { claims: { ...claims, iat: past, nbf: past, exp: past + 60 } }],
      ['key', { claims, sign: { key: privateKey } }],
      ['secret', { claims, sign: { key: new TextEncoder().encode('s3cret'.repeat(8)), header: { alg: 'HS256' } } }],
    ];
    for (const [what, visitor] of wrong)
      expect([what, ...told(await signIn(visitor))]).toEqual([what, ...failed('refused')]);
    const unsigned = (text: object): string => Buffer.from(JSON.stringify(text)).toString('base64url');
    issuer.pages.replace = (token) => {
      const [, payload = ''] = token.split('.');
      return `${unsigned({ alg: 'none' })}.${payload}.`;
    };
    expect(told(await signIn({ claims }))).toEqual(failed('refused'));
    issuer.pages.replace = undefined;
  });

  it('who said no', async () => {
    const { cookie, at } = await begin();
    const to = new URL(`${PUBLIC}/v1/session/oidc/callback`);
    to.search = new URLSearchParams({ error: 'access_denied', state: at.searchParams.get('state') ?? '' }).toString();
    expect(told(await comeBack(to, cookie))).toEqual(failed('refused'));
  });
});

describe('a rule', () => {
  it('takes in who has an address of a domain, once it is verified', async () => {
    expect(told(await signIn(person('guest', 'G.Uest@guests.example', false)))).toEqual(failed('unverified'));
    const answer = await signIn(person('guest', 'G.Uest@guests.example'));
    const me = MeView.parse((await get('/v1/me', kept(answer, 'session'))).body);
    expect(me).toMatchObject({ member: { name: 'g.uest', role: 'viewer' }, permissions: ['read'] });
    expect((await signIn(person('guest', 'g.uest@guests.example'))).headers['location']).toBe('/');
    expect(told(await signIn(person('other', 'x@not-guests.example')))).toEqual(failed('unknown'));
  });

  it('takes somebody in once who comes with several tabs at a time', async () => {
    const tabs = await Promise.all([1, 2, 3, 4].map(() => begin()));
    const answers = tabs.map(({ at, cookie }) =>
      comeBack(issuer.pages.approve(at, person('tabs', 'tabs@guests.example')), cookie),
    );
    const places = (await Promise.all(answers)).map(({ headers }) => headers['location']);
    expect(places).toEqual(['/', '/', '/', '/']);
  });
});

describe('the project', () => {
  it('is the one that is named, of the team', async () => {
    const ids = await new ProjectStore(farm.db).ensure('second', 'main');
    await new TeamStore(farm.db).ensureMember(ids, 'bob', 'owner');
    const answer = await signIn(person('bob'), '?project=second');
    expect(MeView.parse((await get('/v1/me', kept(answer, 'session'))).body).project).toBe('second');
  });
});

describeSessionProject(() => ({
  ...{ farm, issuer: issuer.url, put },
  session: async (visitor, project) => kept(await signIn(visitor, `?project=${project}`), 'session'),
}));

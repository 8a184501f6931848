import { TokenStore } from '#storage';
import {
  AuditList,
  ExchangedToken,
  ID_TOKEN_TYPE,
  ScopeList,
  TOKEN_EXCHANGE,
  TrustRule,
  TrustRuleList,
  type TrustRuleRequestInput,
} from '#protocol';
import { idTokenClaims, OidcIssuer } from '#testing';
import { generateKeyPair } from 'jose';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asker } from './caller.ts';
import { type Farm, startFarm, tokenIn } from './farm.ts';

let farm: Farm;
let issuer: OidcIssuer;
beforeAll(async () => {
  [farm, issuer] = await Promise.all([startFarm({ KILN_OIDC_EGRESS_ALLOW: '127.0.0.0/8' }), OidcIssuer.start()]);
});
afterAll(async () => {
  await farm[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});
const ask = asker(() => farm);

const aud = 'https://kiln.example.com';
const wanted = (more: Partial<TrustRuleRequestInput> = {}): TrustRuleRequestInput => ({
  name: 'ci',
  issuer: issuer.url,
  audience: aud,
  claims: { repository: 'acme/web' },
  scope: 'branch/{ref}',
  parent: 'main',
  trust: 'branch',
  ...more,
});
async function rule(more: Partial<TrustRuleRequestInput> = {}, token = farm.tokens.mine): Promise<TrustRule> {
  const answer = await ask('post', '/v1/trust-rules', token, wanted(more));
  expect([answer.status, answer.body]).toMatchObject([201, {}]);
  return TrustRule.parse(answer.body);
}
const exchange = (subject: string, project = 'mine', more: object = {}) =>
  request(farm.url)
    .post('/v1/oidc/token')
    .type('form')
    .send({ grant_type: TOKEN_EXCHANGE, subject_token: subject, subject_token_type: ID_TOKEN_TYPE, project, ...more });
const nowS = (): number => Math.floor(Date.now() / 1_000);

describe('trust rules', () => {
  it('are made, changed and removed by who administers the project', async () => {
    const made = await rule({ scope: 'x' });
    expect((await ask('get', `/v1/trust-rules/${made.id}`, farm.tokens.mine)).body).toEqual(made);
    const put = await ask('put', `/v1/trust-rules/${made.id}`, farm.tokens.mine, wanted({ name: 'other' }));
    expect(put.body).toMatchObject({
      id: made.id,
      name: 'other',
      lifetimeSeconds: 3_600,
      permissions: ['build', 'read'],
    });
    expect((await ask('get', '/v1/trust-rules', farm.tokens.mine)).body).toEqual({ rules: [put.body] });
    const path = `/v1/trust-rules/${made.id}`;
    for (const [token, status] of [
      ['', 401],
      [farm.tokens.reader, 403],
      [farm.tokens.other, 404],
    ] as const) {
      expect((await ask('get', path, token)).status).toBe(status);
      expect((await ask('put', path, token, wanted())).status).toBe(status);
      expect((await ask('delete', path, token)).status).toBe(status);
    }
    expect((await ask('get', '/v1/trust-rules', farm.tokens.other)).body).toEqual({ rules: [] });
    for (const status of [204, 404]) expect((await ask('delete', path, farm.tokens.mine)).status).toBe(status);
  });

  it('name the field that is wrong, and give no more than the caller has', async () => {
    for (const [field, more, status] of [
      ['issuer', { issuer: 'http://issuer.example' }, 400],
      ['claims', { claims: {} }, 400],
      ['claims', { claims: { event_name: 'push', ref: 'refs/heads/main', repository: '*/*' } }, 400],
      ['scope', { scope: '/{ref}' }, 400],
      ['permissions[0]', { permissions: ['admin'] }, 400],
      ['lifetimeSeconds', { lifetimeSeconds: 1_000_000 }, 400],
      ['trust', { trust: 'release', parent: undefined }, 403],
      ['parent', { parent: 'nowhere' }, 404],
    ] as const) {
      const answer = await ask('post', '/v1/trust-rules', farm.tokens.mine, { ...wanted(), ...more });
      expect([field, answer.body]).toMatchObject([field, { field, status }]);
    }
    expect((await ask('post', '/v1/scopes', farm.tokens.mine, { name: 'low', trust: 'fork' })).status).toBe(201);
    const answer = await ask('post', '/v1/trust-rules', farm.tokens.mine, wanted({ parent: 'low' }));
    expect(answer.body).toMatchObject({ status: 400, field: 'parent' });
  });

  it('are out of the hands of who is trusted less', async () => {
    const { id } = await rule({ scope: 'high', trust: 'protected' });
    const low = await tokenIn(farm, 'low-admin', 'fork');
    const less = wanted({ trust: 'fork', parent: undefined });
    expect((await ask('put', `/v1/trust-rules/${id}`, low, less)).status).toBe(403);
    expect((await ask('delete', `/v1/trust-rules/${id}`, low)).status).toBe(403);
    expect((await ask('delete', `/v1/trust-rules/${id}`, farm.tokens.mine)).status).toBe(204);
  });
});

describe('a rule that is tried', () => {
  const body = (claims: object) => ({ rule: wanted(), claims });

  it('says what it would give, and keeps nothing', async () => {
    const path = '/v1/trust-rules/try';
    const tried = await ask('post', path, farm.tokens.mine, body(idTokenClaims.github));
    expect([tried.status, tried.body]).toEqual([200, { scope: 'branch/main', trust: 'branch', unmet: [] }]);
    const other = await ask('post', path, farm.tokens.mine, body({ repository: 'acme/api', ref: 'x' }));
    expect(other.body).toMatchObject({ scope: null, unmet: [{ claim: 'repository', given: ['acme/api'] }] });
    const long = await ask('post', path, farm.tokens.mine, body({ ref: 'x'.repeat(20_000) }));
    expect(long.body).toMatchObject({ status: 400, field: 'claims' });
    expect((await ask('post', path, farm.tokens.builder, body({}))).status).toBe(403);
    const { rules } = TrustRuleList.parse((await ask('get', '/v1/trust-rules', farm.tokens.mine)).body);
    expect(rules.filter(({ name }) => name === 'ci')).toEqual([]);
  });
});

describe('an id token', () => {
  it.each([
    ['GitHub Actions', idTokenClaims.github, { repository: 'acme/web' }, 'gh/{ref}', 'gh/main'],
    ['GitLab CI', idTokenClaims.gitlab, { project_path: 'acme/*', ref_protected: 'true' }, 'gl/{ref}', 'gl/main'],
    [
      'Buildkite',
      idTokenClaims.buildkite,
      { organization_slug: 'acme', pipeline_slug: 'web' },
      'bk/{build_branch}',
      'bk/main',
    ],
    [
      'CircleCI',
      idTokenClaims.circleci,
      { 'oidc.circleci.com/project-id': 'a5', 'oidc.circleci.com/vcs-origin': 'github.com/acme/web' },
      'cc/{oidc.circleci.com/vcs-ref}',
      'cc/main',
    ],
  ])('of %s is exchanged for a token of a scope', async (_, claims, patterns, scope, named) => {
    const { id } = await rule({ claims: patterns, scope, lifetimeSeconds: 600 });
    const answer = await exchange(await issuer.sign({ aud, ...claims }));
    expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
    const { access_token: token, ...given } = ExchangedToken.parse(answer.body);
    expect(given).toMatchObject({
      token_type: 'Bearer',
      expires_in: 600,
      scope: 'build read',
      project: 'mine',
      cache_scope: named,
      trust: 'branch',
    });
    expect((await ask('get', '/v1/builds', token)).status).toBe(200);
    // It makes no others, and administers nothing.
    const body = { name: 'x', permissions: ['read'] };
    expect((await ask('post', '/v1/tokens', token, body)).status).toBe(403);
    expect((await ask('get', '/v1/trust-rules', token)).status).toBe(403);
    const { scopes } = ScopeList.parse((await ask('get', '/v1/scopes?limit=100', farm.tokens.mine)).body);
    expect(scopes.find(({ name }) => name === named)).toMatchObject({ parent: 'main', trust: 'branch' });
    const tokens = await ask('get', '/v1/tokens?all=true&limit=1', farm.tokens.mine);
    expect(tokens.body).toMatchObject({ tokens: [{ subject: claims.sub, scope: named }] });
    await ask('delete', `/v1/trust-rules/${id}`, farm.tokens.mine);
  });

  it('that does not hold is refused', async () => {
    await rule();
    const claims = { aud, ...idTokenClaims.github };
    expect((await exchange(await issuer.sign(claims))).status).toBe(200);
    const other = await generateKeyPair('RS256');
    const [, body = ''] = (await issuer.sign(claims)).split('.');
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`;
    const refused: Readonly<Record<string, string>> = {
      expired: await issuer.sign({ ...claims, exp: nowS() - 60 }),
      'not yet valid': await issuer.sign({ ...claims, nbf: nowS() + 600 }),
      'wrong audience': await issuer.sign({ ...claims, aud: 'https://other.example' }),
      'another’s claims': await issuer.sign({ ...claims, repository: 'evil/web' }),
      'wrong signature': await issuer.sign(claims, { key: other.privateKey }),
      'unknown key': await issuer.sign(claims, { header: { kid: 'other' } }),
      'no algorithm': none,
      'public key as a secret': await issuer.sign(claims, {
        header: { alg: 'HS256' },
        key: Buffer.from(await issuer.publicKey()),
      }),
      'unknown issuer': await issuer.sign({ ...claims, iss: 'https://issuer.example' }),
      'no token': 'x.y.z',
    };
    for (const [why, token] of Object.entries(refused)) {
      const answer = await exchange(token);
      expect([why, answer.status, answer.body]).toMatchObject([why, 401, { code: 'UNAUTHENTICATED' }]);
    }
    // That there is a project is told to nobody whom it does not trust.
    const good = await issuer.sign(claims);
    const [theirs, absent] = [await exchange(good, 'other'), await exchange(good, 'nothing')];
    expect([theirs.status, theirs.body]).toEqual([401, absent.body]);
  });

  it('has to be asked about as the standard says', async () => {
    const good = await issuer.sign({ aud, ...idTokenClaims.github });
    for (const [field, more] of [
      ['grant_type', { grant_type: 'password' }],
      ['subject_token_type', { subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }],
      ['subject_token', { subject_token: 'x'.repeat(20_000) }],
      ['project', { project: '' }],
    ] as const)
      expect((await exchange(good, 'mine', more)).body).toMatchObject({ status: 400, field });
  });

  it('of a fork’s pull request is trusted as a fork’s, and never writes elsewhere', async () => {
    const { id } = await rule({ claims: { project_path: 'x/web' }, scope: 'mr/{ref}', trust: 'branch' });
    const fork = { aud, ...idTokenClaims.gitlab, project_path: 'x/web', pipeline_source: 'merge_request_event' };
    expect((await exchange(await issuer.sign(fork))).body).toMatchObject({
      trust: 'fork',
      cache_scope: 'fork/mr/main',
    });
    await ask(
      'put',
      `/v1/trust-rules/${id}`,
      farm.tokens.mine,
      wanted({ claims: { project_path: 'x/web' }, scope: 'main', trust: 'fork' }),
    );
    const answer = await exchange(await issuer.sign(fork));
    expect(answer.status).toBe(403);
    expect(answer.text).toContain('trusted as protected');
  });

  it('never comes into a scope that was made for what is trusted less, or further', async () => {
    const repository = 'acme/taken';
    const main = { repository, event_name: 'push' };
    await rule({ claims: main, scope: '{ref}', trust: 'protected', parent: undefined });
    await rule({ claims: { repository }, scope: '{head_ref}', trust: 'pull-request', parent: undefined });
    const github = { aud, ...idTokenClaims.github, ...main, repository_visibility: 'public' };
    const pull = (branch: string) => ({ ...github, event_name: 'pull_request', head_ref: branch });
    const push = (branch: string) => ({ ...github, ref: `refs/heads/${branch}` });
    const statusOf = async (claims: object) => (await exchange(await issuer.sign({ ...claims }))).status;
    expect(await statusOf(pull('release-2'))).toBe(200);
    expect(await statusOf(push('release-2'))).toBe(403);
    expect(await statusOf(push('release-3'))).toBe(200);
    expect(await statusOf(pull('release-3'))).toBe(403);
    // Nor does one that is a fork's, whatever has been made before.
    const fork = { ...pull('release-3'), repository_visibility: 'private' };
    expect((await exchange(await issuer.sign(fork))).body).toMatchObject({
      cache_scope: 'fork/release-3',
      trust: 'fork',
    });
  });

  it('makes a scope once, and is exchanged some times', async () => {
    await rule({ claims: { repository: 'acme/often' }, scope: 'often/{ref}' });
    const sign = (jti: string) => issuer.sign({ aud, ...idTokenClaims.github, repository: 'acme/often', jti });
    const several = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(sign));
    for (const { status } of await Promise.all(several.map((each) => exchange(each)))) expect(status).toBe(200);
    const [head = '', body = '', signature = ''] = (await sign('f')).split('.');
    const token = `${head}.${body}.${signature}`;
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => exchange(token)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const { entries } = AuditList.parse((await ask('get', '/v1/audit', farm.tokens.mine)).body);
    const made = entries.filter(({ action, target }) => action === 'scope.create' && target === 'often/main');
    expect(made).toHaveLength(1);
    const sixth = await exchange(token);
    expect([sixth.status, sixth.body]).toMatchObject([401, { detail: expect.stringContaining('5 times') as unknown }]);
    expect((await exchange(`${head}.${body}.${signature}=`)).status).toBe(401);
    await new TokenStore(farm.db).sweep();
    expect((await exchange(token)).status).toBe(401);
  });

  it('is given no more tokens of a project than it may have', async () => {
    await rule({ claims: { repository: 'acme/many' }, scope: 'many' });
    await farm.db.execute(
      `INSERT INTO tokens (id, project_id, scope_id, sha256, permissions, expires_at, subject)
       SELECT 'many' || n, p.id, s.id, sha256(n::text::bytea), '{read}', now() + interval '1 hour', 'many'
       FROM generate_series(1, 10000) AS n, projects p JOIN scopes s ON s.project_id = p.id
       WHERE p.name = 'mine' AND s.name = 'main'`,
    );
    const token = await issuer.sign({ aud, ...idTokenClaims.github, repository: 'acme/many' });
    expect((await exchange(token)).body).toMatchObject({ code: 'RATE_LIMITED' });
    await farm.db.execute("DELETE FROM tokens WHERE subject = 'many'");
    expect((await exchange(token)).status).toBe(200);
  });

  it('finds room where scopes of old branches take it', async () => {
    await rule({ claims: { repository: 'acme/rooms' }, scope: 'rooms/{ref}' });
    const claims = { aud, ...idTokenClaims.github, repository: 'acme/rooms' };
    await farm.db.execute(
      `INSERT INTO scopes (project_id, id, name, trust, exchanged_at)
       SELECT id, 'old' || n, 'old/' || n, 2, now() FROM generate_series(1, 10000) AS n, projects WHERE name = 'mine'`,
    );
    expect((await exchange(await issuer.sign(claims))).body).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await farm.db.execute("UPDATE scopes SET exchanged_at = now() - interval '31 days' WHERE name LIKE 'old/%'");
    expect((await exchange(await issuer.sign(claims))).status).toBe(200);
    const made = "SELECT 1 FROM scopes WHERE name LIKE 'rooms/%' AND exchanged_at > now() - interval '1 hour'";
    expect(await farm.db.execute(made)).toBe(1);
    // One that is come for again counts again.
    await farm.db.execute("UPDATE scopes SET exchanged_at = now() - interval '31 days' WHERE name LIKE 'rooms/%'");
    expect((await exchange(await issuer.sign(claims))).status).toBe(200);
    expect(await farm.db.execute(made)).toBe(1);
  });

  it('with text that no database keeps is refused', async () => {
    await rule({ claims: { repository: 'acme/nul' }, scope: 'nul' });
    const claims = { aud, ...idTokenClaims.github, repository: 'acme/nul' };
    for (const more of [{ sub: 'a\0b' }, { iss: `${issuer.url}\0` }, { iss: '' }, { sub: '' }])
      expect([more, (await exchange(await issuer.sign({ ...claims, ...more }))).status]).toEqual([more, 401]);
    const payload = Buffer.from(JSON.stringify({ iss: 7, aud })).toString('base64url');
    const head = Buffer.from('{"alg":"RS256"}').toString('base64url');
    expect((await exchange(`${head}.${payload}.AA`)).status).toBe(401);
  });

  it('of an issuer that is away is for later', async () => {
    const away = await OidcIssuer.start();
    await rule({ issuer: away.url });
    const token = await away.sign({ aud, ...idTokenClaims.github });
    await away[Symbol.asyncDispose]();
    const answer = await exchange(token);
    expect([answer.status, answer.body]).toMatchObject([503, { code: 'UNAVAILABLE' }]);
    expect(answer.headers['retry-after']).toBeDefined();
    expect(answer.text).not.toMatch(/127\.0\.0\.1|ECONN/);
  });
});

import {
  ExchangedToken,
  ID_TOKEN_TYPE,
  ScopeList,
  TOKEN_EXCHANGE,
  TrustRule,
  type TrustRuleRequestInput,
} from '#protocol';
import { idTokenClaims, OidcIssuer } from '#testing';
import { generateKeyPair } from 'jose';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asker } from './caller.ts';
import { type Farm, startFarm } from './farm.ts';

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
    expect((await exchange(await issuer.sign(fork))).body).toMatchObject({ trust: 'fork', cache_scope: 'mr/main' });
    await ask(
      'put',
      `/v1/trust-rules/${id}`,
      farm.tokens.mine,
      wanted({ claims: { project_path: 'x/web' }, scope: '{ref}' }),
    );
    const answer = await exchange(await issuer.sign(fork));
    expect(answer.status).toBe(403);
    expect(answer.text).toContain('trusted as protected');
  });

  it('of an issuer that is away is for later', async () => {
    const away = await OidcIssuer.start();
    await rule({ issuer: away.url });
    const token = await away.sign({ aud, ...idTokenClaims.github });
    await away[Symbol.asyncDispose]();
    const answer = await exchange(token);
    expect([answer.status, answer.body]).toMatchObject([503, { code: 'UNAVAILABLE' }]);
    expect(answer.headers['retry-after']).toBeDefined();
  });
});

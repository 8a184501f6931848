import { isKilnError } from '#std';
import { OidcIssuer } from '#testing';
import { describe, expect, it } from 'vitest';
import { SignInIssuer, type SignInIssuerOptions } from './sign-in-issuer.ts';

const attempt = { state: 's', nonce: 'n', codeVerifier: 'v'.repeat(43) };
const at = (issuer: string, more: Partial<SignInIssuerOptions> = {}) =>
  new SignInIssuer({
    ...{ issuer, clientId: 'kiln', clientSecret: 's3cret', scopes: 'openid email' },
    redirectUri: 'https://kiln.example.com/v1/session/oidc/callback',
    signedOutUri: 'https://kiln.example.com/sign-in',
    egress: { allow: ['127.0.0.0/8'] },
    ...more,
  });
const unavailable = (thrown: unknown): boolean => isKilnError(thrown, 'UNAVAILABLE');

describe('an issuer at which people sign in', () => {
  it('vouches for who says yes there', async () => {
    await using issuer = await OidcIssuer.start();
    await using signIn = at(issuer.url);
    const back = issuer.pages.approve(await signIn.authorizationUrl(attempt), {
      claims: { sub: '1', email: 'Ada@Example.com', email_verified: 'true' },
    });
    expect(await signIn.vouched(back.searchParams, attempt)).toEqual({ subject: '1', email: 'ada@example.com' });
  });

  it.each([
    // Lower case in Unicode makes an ASCII k of the Kelvin sign: somebody else's address.
    ['\u212Aim@Example.com', '\u212Aim@example.com'],
    ['ada@evil.example\0@example.com', null],
    ['ada@evil.example, ada@example.com', null],
    ['ada@evil.example@example.com', null],
    ['@example.com', null],
  ])('vouches for an address as it is, and for no other: %j', async (email, expected) => {
    await using issuer = await OidcIssuer.start();
    await using signIn = at(issuer.url);
    const claims = { sub: '1', email, email_verified: true };
    const back = issuer.pages.approve(await signIn.authorizationUrl(attempt), { claims });
    expect(await signIn.vouched(back.searchParams, attempt)).toEqual({ subject: '1', email: expected });
  });

  it('is asked by the egress rules, and again where it was away', async () => {
    await using issuer = await OidcIssuer.start();
    await using shut = at(issuer.url, { egress: { allow: [] } });
    await expect(shut.authorizationUrl(attempt)).rejects.toSatisfy(unavailable);
    expect(issuer.asked).toEqual([]);
    issuer.say('discovery', 'busy');
    await using open = at(issuer.url);
    await expect(open.authorizationUrl(attempt)).rejects.toThrow();
    issuer.say('discovery', { issuer: issuer.url, jwks_uri: `${issuer.url}/keys`, ...issuer.pages.addresses });
    expect((await open.authorizationUrl(attempt)).origin).toBe(issuer.url);
  });

  it('is nobody else than its metadata says, and has plain HTTP at its own origin alone', async () => {
    await using issuer = await OidcIssuer.start();
    issuer.say('discovery', { issuer: 'https://evil.example', ...issuer.pages.addresses });
    await using other = at(issuer.url);
    await expect(other.authorizationUrl(attempt)).rejects.toThrow('refused');
    issuer.say('discovery', {
      ...{ issuer: issuer.url, ...issuer.pages.addresses, jwks_uri: `${issuer.url}/keys` },
      token_endpoint: 'http://127.0.0.1:1/token',
    });
    await using elsewhere = at(issuer.url);
    const back = issuer.pages.approve(await elsewhere.authorizationUrl(attempt), { claims: { sub: '1' } });
    await expect(elsewhere.vouched(back.searchParams, attempt)).rejects.toSatisfy(unavailable);
  });

  it('signs out who goes there for it, where it has a page for that which can be trusted', async () => {
    await using issuer = await OidcIssuer.start();
    await using signIn = at(issuer.url);
    const url = await signIn.endSessionUrl();
    expect([url?.origin, url?.pathname]).toEqual([issuer.url, '/end']);
    expect(Object.fromEntries(url?.searchParams ?? [])).toEqual({
      client_id: 'kiln',
      post_logout_redirect_uri: 'https://kiln.example.com/sign-in',
    });
    for (const end of [undefined, 'http://elsewhere.example/end', 'javascript:alert(1)']) {
      issuer.say('discovery', { issuer: issuer.url, ...issuer.pages.addresses, end_session_endpoint: end });
      await using other = at(issuer.url);
      expect(await other.endSessionUrl()).toBeUndefined();
    }
  });
});

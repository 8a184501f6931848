import { isKilnError, systemClock } from '#std';
import { OidcIssuer } from '#testing';
import { exportJWK, generateKeyPair } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { issuerOf, Issuers } from './issuers.ts';

let issuer: OidcIssuer;
let issuers: Issuers;
beforeEach(async () => {
  issuer = await OidcIssuer.start();
  issuers = new Issuers({ egress: { allow: ['127.0.0.0/8'] }, clock: systemClock, cooldownMs: 0 });
});
afterEach(async () => {
  await issuers[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

const verify = (token: string) => issuers.verify(token, issuer.url);
const refused = async (token: string, why: RegExp): Promise<void> => {
  await expect(verify(token)).rejects.toSatisfy((thrown) => isKilnError(thrown, 'UNAUTHENTICATED'));
  await expect(verify(token)).rejects.toThrow(why);
};
const unavailable = async (token: string): Promise<void> =>
  expect(verify(token)).rejects.toSatisfy((thrown) => isKilnError(thrown, 'UNAVAILABLE'));
const nowS = (): number => Math.floor(Date.now() / 1_000);
const aud = 'kiln';

describe('an id token', () => {
  it('says what it says when its issuer signed it', async () => {
    expect(await verify(await issuer.sign({ aud, ref: 'main' }))).toMatchObject({ aud, ref: 'main', iss: issuer.url });
    expect(issuerOf(await issuer.sign({ iss: 'https://a.example' }))).toBe('https://a.example');
  });

  it('is bound to its times', async () => {
    await refused(await issuer.sign({ aud, exp: nowS() - 60 }), /expired/);
    await refused(await issuer.sign({ aud, nbf: nowS() + 120 }), /nbf/);
    await refused(await issuer.sign({ aud, iat: nowS() + 120 }), /iat/);
    await refused(await issuer.sign({ aud, iat: nowS() - 200_000 }), /expired|iat/);
    await refused(await issuer.sign({ aud }, { without: 'exp' }), /exp/);
    await refused(await issuer.sign({}), /aud/);
    await refused(await issuer.sign({ aud, iss: 'https://a.example' }), /iss/);
  });

  it('is refused when another signed it, or nobody', async () => {
    const other = await generateKeyPair('RS256');
    await refused(await issuer.sign({ aud }, { key: other.privateKey }), /signature/);
    const [head = '', body = ''] = (await issuer.sign({ aud })).split('.');
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT' })).toString('base64url');
    await refused(`${none}.${body}.`, /algorithm|signed/);
    await refused(`${head}.${body}.`, /signature|signed/);
    const key = Buffer.from(await issuer.publicKey());
    await refused(await issuer.sign({ aud }, { header: { alg: 'HS256' }, key }), /algorithm/);
    for (const text of ['', 'a.b', 'a.b.c']) expect(() => issuerOf(text)).toThrow('not a JSON web token');
  });

  it('with an unknown key costs one more question', async () => {
    await verify(await issuer.sign({ aud }));
    const before = issuer.asked.length;
    await expect(verify(await issuer.sign({ aud }, { header: { kid: 'other' } }))).rejects.toThrow('no such key');
    expect(issuer.asked.slice(before)).toEqual(['/keys']);
    const patient = new Issuers({ egress: { allow: ['127.0.0.0/8'] }, clock: systemClock });
    for (let round = 0; round < 3; round++) {
      const unknown = await issuer.sign({ aud }, { header: { kid: 'other' } });
      await expect(patient.verify(unknown, issuer.url)).rejects.toThrow('no such key');
    }
    expect(issuer.asked.slice(before)).toEqual(['/keys', '/.well-known/openid-configuration', '/keys']);
    await patient[Symbol.asyncDispose]();
  });

  it('is believed after the keys have changed, by whatever family', async () => {
    const old = await issuer.sign({ aud });
    await verify(old);
    await issuer.rotate('ES256');
    await verify(await issuer.sign({ aud }, { header: { alg: 'ES256' } }));
    await refused(old, /no such key/);
  });
});

describe('an issuer', () => {
  it('that is away is so for now, and is found again', async () => {
    const token = await issuer.sign({ aud });
    issuer.say('keys', 'nothing');
    await unavailable(token);
    issuer.say('discovery', 'nothing');
    await unavailable(token);
    await issuer.rotate();
    await verify(await issuer.sign({ aud }));
  });

  it('is who it says that it is, with keys of its own', async () => {
    const token = await issuer.sign({ aud });
    issuer.say('discovery', { issuer: 'https://a.example', jwks_uri: `${issuer.url}/keys` });
    await unavailable(token);
    issuer.say('discovery', { issuer: issuer.url, jwks_uri: 'http://127.0.0.1:1/keys' });
    await unavailable(token);
    issuer.say('discovery', 'x'.repeat(300_000));
    await unavailable(token);
    const { publicKey } = await generateKeyPair('RS256');
    issuer.say('discovery', { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` });
    issuer.say('keys', { keys: [{ ...(await exportJWK(publicKey)), kid: 'k0' }] });
    await refused(token, /signature/);
    const nameless = { ...(await exportJWK(publicKey)), alg: 'RS256' };
    issuer.say('keys', { keys: [nameless, nameless] });
    const fresh = new Issuers({ egress: { allow: ['127.0.0.0/8'] }, clock: systemClock });
    const unnamed = await issuer.sign({ aud }, { nameless: true });
    await expect(fresh.verify(unnamed, issuer.url)).rejects.toThrow('which of its issuer’s keys');
    await fresh[Symbol.asyncDispose]();
  });

  it('is not asked where the farm may not go', async () => {
    const guarded = new Issuers({ egress: { allow: [] }, clock: systemClock });
    await expect(guarded.verify(await issuer.sign({ aud }), issuer.url)).rejects.toThrow(
      /cannot be asked for its keys$/,
    );
    await guarded[Symbol.asyncDispose]();
    expect(issuer.asked).toEqual([]);
  });
});

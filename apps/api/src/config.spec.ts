import { readFileSync } from 'node:fs';
import { isKilnError } from '#std';
import { describe, expect, it } from 'vitest';
import { AdminEnv, ApiEnv, publicUrl, readConfig, signInIssuer, signInRules } from './config.ts';

const whole = {
  KILN_DATABASE_URL: 'postgres://kiln:pw@127.0.0.1:5432/kiln',
  KILN_REDIS_URL: 'redis://:pw@127.0.0.1:6379',
  KILN_OBJECT_STORE: '/var/lib/kiln/content',
  KILN_SECRET_KEY: 'ab'.repeat(32),
};

describe('the environment', () => {
  it('is documented, defaults included', () => {
    const example = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8');
    const documented = new Map(
      [...example.matchAll(/^(#?)(KILN_[A-Z_]+)=(.*)$/gm)].map(([, off, key, value]) => [
        key ?? '',
        off === '#' ? '' : (value ?? ''),
      ]),
    );
    const keys = [...Object.keys(ApiEnv.shape), ...Object.keys(AdminEnv.shape)];
    expect(keys.filter((key) => !documented.has(key))).toEqual([]);
    const shown = Object.fromEntries(keys.map((key) => [key, documented.get(key)]));
    const { KILN_PUBLIC_URL: _, ...defaults } = readConfig(ApiEnv, { ...shown, ...whole });
    expect(defaults).toEqual(readConfig(ApiEnv, whole));
  });

  it('may hold what is not ours, and empty settings', () => {
    const config = readConfig(ApiEnv, { ...whole, PATH: '/bin', KILN_API_PORT: '' });
    expect(publicUrl(config)).toBe('http://127.0.0.1:8420');
    expect(publicUrl({ ...config, KILN_PUBLIC_URL: 'https://kiln.example.com' })).toBe('https://kiln.example.com');
    expect(readConfig(ApiEnv, { ...whole, KILN_PUBLIC_URL: 'https://x.example/' }).KILN_PUBLIC_URL).toBe(
      'https://x.example',
    );
  });

  it('has all of an issuer at which people sign in, or none of it', () => {
    const issuer = { KILN_SIGNIN_OIDC_ISSUER: 'https://id.example.com', KILN_PUBLIC_URL: 'https://kiln.example.com/' };
    expect(signInIssuer(readConfig(ApiEnv, whole))).toBeUndefined();
    expect(() => signInIssuer(readConfig(ApiEnv, { ...whole, ...issuer }))).toThrow('go together');
    const config = readConfig(ApiEnv, {
      ...{ ...whole, ...issuer, KILN_SIGNIN_OIDC_CLIENT_ID: 'kiln' },
      KILN_SIGNIN_OIDC_ADMIT: 'Example.com=viewer, example.org=developer',
    });
    expect(signInIssuer(config)).toMatchObject({ redirectUri: 'https://kiln.example.com/v1/session/oidc/callback' });
    expect(signInRules(config).admit).toEqual([
      { domain: 'example.com', role: 'viewer' },
      { domain: 'example.org', role: 'developer' },
    ]);
    for (const wrong of [
      { KILN_SIGNIN_OIDC_ISSUER: 'http://id.example.com' },
      { KILN_SIGNIN_OIDC_ADMIT: 'example.com=owner' },
      { KILN_SIGNIN_OIDC_ADMIT: '*=viewer' },
      { KILN_SIGNIN_OIDC_SCOPES: 'email' },
    ])
      expect(() => readConfig(ApiEnv, { ...whole, ...wrong })).toThrow(Object.keys(wrong)[0] ?? '');
  });

  it('names all that is wrong, without values', () => {
    try {
      readConfig(ApiEnv, { ...whole, KILN_API_PORT: '99999', KILN_SECRET_KEY: 'hunter2', KILN_REDIS_URL: 'x' });
      expect.unreachable();
    } catch (thrown) {
      if (!isKilnError(thrown, 'INVALID_ARGUMENT')) throw thrown;
      expect(thrown.message).toMatch(/KILN_API_PORT.*KILN_REDIS_URL.*KILN_SECRET_KEY/);
      expect(thrown.message).not.toContain('hunter2');
    }
  });
});

import { describe, expect, it } from 'vitest';
import { readRegistryAuth, readRegistryConfig } from './registry-auth.ts';

const header = (value: unknown, encoding: 'base64' | 'base64url' = 'base64url') =>
  Buffer.from(JSON.stringify(value)).toString(encoding);

describe('credentials in headers of docker’s clients', () => {
  it('come by the host that image names have', () => {
    const all = {
      'https://index.docker.io/v1/': { username: 'ada', password: 'p' },
      'ghcr.io': { identitytoken: 't' },
      'registry.example.com:5000': { auth: Buffer.from('bob:a:b').toString('base64') },
      'none.example.com': { username: '', password: '' },
    };
    for (const encoding of ['base64', 'base64url'] as const)
      expect(readRegistryConfig(header(all, encoding))).toEqual({
        'docker.io': { username: 'ada', password: 'p' },
        'ghcr.io': { identityToken: 't' },
        'registry.example.com:5000': { username: 'bob', password: 'a:b' },
      });
  });

  it('may be none, and are told by name where they are no credentials', () => {
    expect(readRegistryConfig(undefined)).toEqual({});
    expect(readRegistryConfig(header(null))).toEqual({});
    expect(readRegistryAuth(header({}))).toBeUndefined();
    expect(readRegistryAuth(header({ username: 'a', password: 'b', serveraddress: 'x' }))).toEqual({
      username: 'a',
      password: 'b',
    });
    expect(() => readRegistryAuth('!!')).toThrow('X-Registry-Auth');
    expect(() => readRegistryConfig(header({ x: 1 }))).toThrow('X-Registry-Config');
    expect(() => readRegistryAuth(header({ auth: 'eA==' }))).toThrow('name:password');
  });
});

import { describe, expect, it } from 'vitest';
import { authorizationOf } from './git-auth.ts';

const basic = (token: string): string => `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
const secrets = (all: Readonly<Record<string, string>>) => (id: string) => all[id];

describe('authorizationOf', () => {
  it('prefers headers to tokens, and what is for the host to what is for any', () => {
    const url = 'https://host:8443/x.git';
    const header = (all: Readonly<Record<string, string>>): string | undefined =>
      authorizationOf(url, secrets(all), url)?.header;
    const any = { GIT_AUTH_TOKEN: 't', GIT_AUTH_HEADER: 'Bearer h\n' };
    expect(header({})).toBeUndefined();
    expect(header({ GIT_AUTH_TOKEN: 't' })).toBe(basic('t'));
    expect(header(any)).toBe('Bearer h');
    expect(header({ ...any, 'GIT_AUTH_TOKEN.host:8443': 'own' })).toBe(basic('own'));
    expect(header({ ...any, 'GIT_AUTH_TOKEN.other': 'no' })).toBe('Bearer h');
    expect(header({ GIT_AUTH_HEADER: 'a\r\nX-Other: b' })).toBeUndefined();
  });

  it('gives a submodule only what is for its host', () => {
    const all = secrets({ GIT_AUTH_TOKEN: 't', 'GIT_AUTH_TOKEN.host': 'own' });
    expect(authorizationOf('https://other/x', all, 'https://host/outer')).toBeUndefined();
    expect(authorizationOf('https://host/x', all, 'https://host/outer')).toEqual({
      scope: 'https://host/',
      header: basic('own'),
    });
  });

  it('sends no secret in clear but where the build itself goes that way', () => {
    const all = secrets({ GIT_AUTH_TOKEN: 't', 'GIT_AUTH_TOKEN.host': 'own' });
    const submodule = 'http://host/x';
    for (const root of ['https://host/outer', 'http://other/outer', 'git@host:outer', 'http://host:81/outer']) {
      expect(authorizationOf(submodule, all, root), root).toBeUndefined();
    }
    expect(authorizationOf(submodule, all, 'http://host/outer')?.header).toBe(basic('own'));
    expect(authorizationOf(submodule, all, submodule)?.header).toBe(basic('own'));
  });
});

import { homedir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { readConfig, readLocalConfig } from './config.ts';

describe('the settings of the command line', () => {
  it('keep contexts where the user’s settings lie', () => {
    expect(readLocalConfig({ XDG_CONFIG_HOME: '/cfg' }).contextFile).toBe('/cfg/kiln/config.json');
    for (const XDG_CONFIG_HOME of [undefined, '', 'relative'])
      expect(readLocalConfig({ XDG_CONFIG_HOME }).contextFile).toBe(`${homedir()}/.config/kiln/config.json`);
  });

  it('take the farm and its token of the environment', () => {
    const XDG_CONFIG_HOME = '/nothing/there';
    const farm = { url: 'https://a.example', token: 't', context: undefined };
    expect(readConfig({ XDG_CONFIG_HOME, KILN_URL: 'https://a.example/', KILN_TOKEN: 't' }).farm).toEqual(farm);
    expect(readConfig({ XDG_CONFIG_HOME, KILN_URL: '' }).farm).toBeUndefined();
    for (const KILN_URL of ['a.example', 'ftp://a', 'https://u:p@a'])
      expect(() => readConfig({ KILN_URL })).toThrow(/^KILN_URL /);
  });

  it('take proxies in small letters first, and exchange id tokens only where that is asked for', () => {
    const env = { XDG_CONFIG_HOME: '/nothing/there', HTTP_PROXY: 'http://a', http_proxy: 'http://b', NO_PROXY: 'c' };
    expect(readLocalConfig(env).proxy).toEqual({ http: 'http://b', https: '', none: 'c' });
    expect(readConfig({ ...env, KILN_OIDC: '0', KILN_PROJECT: 'web' }).exchange).toBeUndefined();
    expect(readConfig({ ...env, KILN_OIDC: '1', KILN_PROJECT: 'web' }).exchange).toMatchObject({ project: 'web' });
  });
});

describe('where digests of contexts are kept', () => {
  it.each([
    [{ HOME: '/home/me' }, '/home/me/.cache/kiln/contexts'],
    [{ HOME: '/home/me', XDG_CACHE_HOME: '/fast' }, '/fast/kiln/contexts'],
    [{ HOME: '/home/me', XDG_CACHE_HOME: 'relative' }, '/home/me/.cache/kiln/contexts'],
    [{ HOME: '/home/me', XDG_CACHE_HOME: '' }, '/home/me/.cache/kiln/contexts'],
    [{}, undefined],
    [{ HOME: '' }, undefined],
  ])('follows from %o', (environment, directory) => {
    expect(readLocalConfig(environment).contextCacheDir).toBe(directory);
  });
});

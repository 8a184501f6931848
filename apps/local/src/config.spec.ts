import { describe, expect, it } from 'vitest';
import { readConfig } from './config.ts';

describe('readConfig', () => {
  it('takes over settings that differ from farm to farm, and nothing that is the farm’s own', () => {
    const env = {
      KILN_EGRESS_ALLOW: '10.0.0.0/8',
      KILN_STEP_CPUS: ' ',
      KILN_DATABASE_URL: 'postgres://elsewhere',
      KILN_SECRET_KEY: 'x',
      HTTP_PROXY: 'http://proxy.example.com',
      PATH: '/bin',
    };
    const { settings, base } = readConfig(env);
    expect(settings).toEqual({ KILN_EGRESS_ALLOW: '10.0.0.0/8' });
    expect(Object.keys(base)).toEqual(['PATH', 'HOME', 'LANG']);
    expect(base['PATH']).toBe('/bin:/usr/local/sbin:/usr/sbin:/sbin');
  });

  it('finds the certificates of an inspecting proxy, and those that are named for steps first', () => {
    expect(readConfig({}).caBundle).toBeUndefined();
    expect(readConfig({ SSL_CERT_FILE: '/no/such/file' }).caBundle).toBeUndefined();
    expect(readConfig({ NODE_EXTRA_CA_CERTS: '/etc/hostname' }).caBundle).toBe('/etc/hostname');
    expect(readConfig({ SSL_CERT_FILE: '/etc/hostname', KILN_CA_BUNDLE: '/etc/hosts' }).caBundle).toBe('/etc/hosts');
  });

  it('keeps stand-ins where caches of this user are', () => {
    expect(readConfig({ XDG_CACHE_HOME: '/cache' }).cacheDir).toBe('/cache/kiln/stand-ins');
    expect(readConfig({ XDG_CACHE_HOME: '' }).cacheDir).toMatch(/\/\.cache\/kiln\/stand-ins$/);
  });
});

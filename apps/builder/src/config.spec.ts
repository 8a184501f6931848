import { readFileSync } from 'node:fs';
import { isKilnError } from '#std';
import { describe, expect, it } from 'vitest';
import { BuilderEnv, readConfig } from './config.ts';

const whole = {
  KILN_DATABASE_URL: 'postgres://kiln:pw@127.0.0.1:5432/kiln',
  KILN_REDIS_URL: 'redis://:pw@127.0.0.1:6379',
  KILN_OBJECT_STORE: '/var/lib/kiln/content',
  KILN_SECRET_KEY: 'ab'.repeat(32),
  KILN_BUILDER_ID: 'builder-1',
  KILN_BUILDER_DIR: '/var/lib/kiln/builder-1',
};

function messageFor(env: Readonly<Record<string, string>>): string {
  try {
    readConfig({ ...whole, ...env });
  } catch (thrown) {
    if (isKilnError(thrown, 'INVALID_ARGUMENT')) return thrown.message;
    throw thrown;
  }
  return '';
}

describe('the environment', () => {
  it('is documented, defaults included', () => {
    const example = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8');
    const documented = new Map(
      [...example.matchAll(/^(#?)(KILN_[A-Z0-9_]+)=(.*)$/gm)].map(([, off, key, value]) => [
        key ?? '',
        off === '#' ? '' : (value ?? ''),
      ]),
    );
    const keys = Object.keys(BuilderEnv.shape);
    expect(keys.filter((key) => !documented.has(key))).toEqual([]);
    const shown = Object.fromEntries(keys.map((key) => [key, documented.get(key)]));
    expect(readConfig({ ...shown, ...whole })).toEqual(readConfig(whole));
  });

  it('names mirrors and stand-ins', () => {
    const mirrors = 'docker.io=https://mirror.example.com/hub, *=stand-in:http://127.0.0.1:5001';
    expect(readConfig({ ...whole, KILN_REGISTRY_MIRRORS: mirrors }).KILN_REGISTRY_MIRRORS).toEqual([
      { for: 'docker.io', url: 'https://mirror.example.com/hub', mode: 'mirror' },
      { for: '*', url: 'http://127.0.0.1:5001', mode: 'stand-in' },
    ]);
    expect(messageFor({ KILN_REGISTRY_MIRRORS: 'mirror.example.com' })).toMatch(/mirror\.example\.com/);
  });

  it('names authorities of registries', () => {
    const authorities = 'registry.example.com:5000=/etc/kiln/ca.pem, *=/etc/kiln/all=them.pem';
    expect(readConfig({ ...whole, KILN_REGISTRY_CA: authorities }).KILN_REGISTRY_CA).toEqual([
      { for: 'registry.example.com:5000', path: '/etc/kiln/ca.pem' },
      { for: '*', path: '/etc/kiln/all=them.pem' },
    ]);
    expect(messageFor({ KILN_REGISTRY_CA: '/etc/kiln/ca.pem' })).toMatch(/not an authority.*ca\.pem/);
    expect(messageFor({ KILN_REGISTRY_CA: 'registry.example.com=ca.pem' })).toMatch(/not an authority/);
  });

  it('names all that is wrong, without values', () => {
    const message = messageFor({ KILN_SECRET_KEY: 'hunter2', KILN_BUILDER_ID: 'No', KILN_STEP_PIDS: '1' });
    expect(message).toMatch(/KILN_SECRET_KEY.*KILN_BUILDER_ID.*KILN_STEP_PIDS/);
    expect(message).not.toContain('hunter2');
  });
});

import { describe, expect, it } from 'vitest';
import { kindByNames, kindByPlace } from './cache-mount-kind.ts';

describe('caches that are put together', () => {
  it.each([
    ['/root/.npm', 'npm'],
    ['/home/node/.npm/', 'npm'],
    ['/root/.npm/_cacache', 'npm'],
    ['/root/.cache/pip', 'pip'],
    ['/root/.cache/uv', 'uv'],
    ['/usr/local/share/.cache/yarn', 'yarn'],
    ['/usr/local/share/.cache/yarn/v6', 'yarn'],
    ['/app/.yarn/cache', 'yarn'],
    ['/root/.local/share/pnpm/store', 'pnpm'],
    ['/pnpm/store', 'pnpm'],
    ['/go/pkg/mod', 'go modules'],
    ['/root/go/pkg/mod', 'go modules'],
    ['/root/.cache/go-build', 'go build'],
    ['/usr/local/cargo/registry', 'cargo'],
    ['/root/.cargo/git/db', 'cargo'],
    ['/var/cache/apt', 'apt'],
    ['/root/.m2', 'maven'],
    ['/root/.cache/ccache', 'ccache'],
    ['/var/lib/apt/lists', undefined],
    ['/root/.gradle/caches', undefined],
    ['/app/node_modules', undefined],
    ['/app/target', undefined],
    ['/app/.next/cache', undefined],
    ['npm', undefined],
  ])('%s: %s', (place, name) => {
    expect(kindByPlace(place)?.name).toBe(name);
    expect(kindByPlace('an id', place)?.name).toBe(name);
  });

  it('are known by what is in them', () => {
    expect(kindByNames(['_cacache', '_logs'])?.name).toBe('npm');
    expect(kindByNames(['http-v2', 'selfcheck'])?.name).toBe('pip');
    expect(kindByNames(['00', '01', 'ff', 'README', 'trim.txt'])?.name).toBe('go build');
    expect(kindByNames(['http', 'x'])).toBeUndefined();
    expect(kindByNames([])).toBeUndefined();
  });

  it('leave locks and what is half there on the builder', () => {
    const apt = new RegExp(kindByPlace('/var/cache/apt')?.skip ?? '');
    const stay = ['archives/lock', 'archives/partial/x.deb', 'lock', 'partial/x.deb'];
    expect(stay.filter((path) => apt.test(path))).toEqual(stay);
    expect(['archives/x.deb', 'archives/partial', 'archives', 'x.lock'].filter((path) => apt.test(path))).toEqual([]);
  });
});

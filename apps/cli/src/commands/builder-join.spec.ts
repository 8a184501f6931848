import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { joinCommand, joinEnvironment } from './builder-join.ts';

const farm = {
  KILN_DATABASE_URL: "postgres://kiln:it's@db.example:5432/kiln",
  KILN_REDIS_URL: 'redis://:p@redis.example:6379',
  KILN_OBJECT_STORE: 's3://blobs?region=eu-central-1',
  KILN_SECRET_KEY: 'ab'.repeat(32),
};
const flags = { dir: '/var/lib/kiln' };

/** What a shell makes of it: the settings that the builder would begin with. */
function settings(command: string): string {
  const [, assignments = ''] = /&& (.*) unshare /.exec(command) ?? [];
  return execFileSync('sh', ['-c', `${assignments} env`], { encoding: 'utf8', env: { PATH: process.env['PATH'] } });
}

describe('the command by which a machine joins', () => {
  it('gives a builder all that it needs, and nothing of it as an argument', () => {
    const command = joinCommand({ ...flags, id: 'big-1' }, { ...farm, KILN_PLAIN_HTTP: 'r:5000', HOME: '/root' });
    const found = settings(command);
    for (const [name, value] of Object.entries(farm)) expect(found).toContain(`${name}=${value}\n`);
    expect(found).toContain('KILN_BUILDER_ID=big-1\n');
    expect(found).toContain('KILN_PLAIN_HTTP=r:5000\n');
    expect(found).not.toContain('HOME=');
    expect(command.split('unshare')[1]).not.toContain('KILN');
  });

  it('names the builder after the machine where nothing else is said, as names of builders are', () => {
    const found = settings(joinCommand(flags, farm).replace('hostname -s', 'echo Big-1'));
    expect(found).toContain('KILN_BUILDER_ID=big-1\n');
  });

  it('hands on whom the API trusts, and the figures’ token where they are asked for', () => {
    const environment = { ...farm, KILN_REGISTRY_CA: 'r=/etc/ca.pem', KILN_METRICS_TOKEN: 'a-token-of-figures' };
    expect(settings(joinCommand(flags, environment))).toContain('KILN_REGISTRY_CA=r=/etc/ca.pem\n');
    expect(joinCommand(flags, environment)).not.toContain('a-token-of-figures');
    const found = settings(joinCommand({ ...flags, metrics: '10.0.0.7:9420' }, environment));
    expect(found).toContain('KILN_METRICS_LISTEN=10.0.0.7:9420\n');
    expect(found).toContain('KILN_METRICS_TOKEN=a-token-of-figures\n');
  });

  it('begins nothing where the folder of the farm’s blobs is not mounted', () => {
    const command = joinCommand(flags, { ...farm, KILN_OBJECT_STORE: "/no/such/folder's" });
    const { status, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8', cwd: '/' });
    expect([status, stderr]).toEqual([1, "the farm’s folder /no/such/folder's is not mounted here\n"]);
  });

  it.each([
    [{ ...farm, KILN_SECRET_KEY: undefined }, flags, /KILN_SECRET_KEY/],
    [{}, flags, /KILN_DATABASE_URL, KILN_REDIS_URL/],
    [{ ...farm, KILN_REDIS_URL: 'redis://127.0.0.1:1' }, flags, /KILN_REDIS_URL leads to this machine/],
    [{ ...farm, KILN_DATABASE_URL: 'postgres://[::1]/x' }, flags, /KILN_DATABASE_URL leads to this machine/],
    [farm, { ...flags, id: '"; rm -rf /' }, /--id/],
    [farm, { dir: 'here' }, /--dir/],
    [{ ...farm, KILN_OBJECT_STORE: 's3://b?endpoint=http://127.0.0.1:9000' }, flags, /KILN_OBJECT_STORE leads to this/],
    [farm, { ...flags, metrics: '9420' }, /--metrics/],
    [farm, { ...flags, metrics: '10.0.0.7:9420' }, /figures would be open/],
  ])('is refused where it could not work: %o', (environment, asked, complaint) => {
    expect(() => joinCommand(asked, environment)).toThrow(complaint);
  });
});

describe('the settings of a service', () => {
  it('are a line each, as they are', () => {
    const plain = { ...farm, KILN_DATABASE_URL: 'postgres://kiln:it%27s@db.example/kiln' };
    expect(joinEnvironment({ ...flags, id: 'big-1' }, plain).split('\n')).toEqual([
      'KILN_BUILDER_ID=big-1',
      ...Object.entries(plain).map(([name, value]) => `${name}=${value}`),
      'KILN_BUILDER_DIR=/var/lib/kiln',
    ]);
  });

  it('are refused without a name, and where their readers would disagree', () => {
    expect(() => joinEnvironment(flags, farm)).toThrow(/--id/);
    expect(() => joinEnvironment({ ...flags, id: 'big-1' }, farm)).toThrow(/KILN_DATABASE_URL has a quote/);
  });
});

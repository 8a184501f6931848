import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { joinCommand } from './builder-join.ts';

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

  it('names the builder after the machine where nothing else is said', () => {
    expect(joinCommand(flags, farm)).toContain('KILN_BUILDER_ID="$(hostname -s)"');
  });

  it.each([
    [{ ...farm, KILN_SECRET_KEY: undefined }, flags, /KILN_SECRET_KEY/],
    [{}, flags, /KILN_DATABASE_URL, KILN_REDIS_URL/],
    [{ ...farm, KILN_REDIS_URL: 'redis://127.0.0.1:1' }, flags, /KILN_REDIS_URL leads to this machine/],
    [{ ...farm, KILN_DATABASE_URL: 'postgres://[::1]/x' }, flags, /KILN_DATABASE_URL leads to this machine/],
    [farm, { ...flags, id: '"; rm -rf /' }, /--id/],
    [farm, { dir: 'here' }, /--dir/],
  ])('is refused where it could not work: %o', (environment, asked, complaint) => {
    expect(() => joinCommand(asked, environment)).toThrow(complaint);
  });
});

import { Permission, ProjectStore, TokenStore } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm } from './farm.ts';

let farm: Farm;
let fork: string;
beforeAll(async () => {
  farm = await Farm.start();
  const ids = await new ProjectStore(farm.db).ensure('default', 'fork', { parent: 'main', trust: 'fork' });
  fork = await new TokenStore(farm.db).create({ ...ids, permissions: Permission.options });
});
afterAll(() => farm[Symbol.asyncDispose]());

const LINES = [
  'FROM box:1',
  'RUN echo one > /one',
  'RUN head -c 16 /dev/urandom | sha256sum > /two',
  'RUN cat /two > /three',
  '',
];

async function folder(comment: string): Promise<string> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: LINES.join('\n').replace('echo one', `echo one ${comment}`) });
  return dir;
}

const disown = (args: readonly string[], token = farm.token) =>
  farm.cli(['cache', 'disown', ...args], { env: { KILN_TOKEN: token } }).ended;

describe('kiln cache disown', () => {
  it('takes a step’s result and what stands on it, tells who used them, and why they miss', async () => {
    const dir = await folder('step');
    const tag = `${farm.registry.host}/disowned:1`;
    const first = await farm.build(dir, '-t', tag, '--push');
    const second = await farm.build(dir);
    const [made, used] = [first['kiln.build'].id, second['kiln.build'].id];
    expect(second['kiln.build'].steps.run).toBe(0);

    // The later build names the same results as the one that made them.
    const dry = await disown([used, '--step', '3', '--dry-run']);
    expect(dry.stdout).toContain('2 results would be disowned; 2 builds used them');
    expect((await farm.build(dir))['kiln.build'].steps.run).toBe(0);

    const unasked = await disown([made, '--step', '3']);
    expect(unasked.code).not.toBe(0);
    expect(unasked.stderr).toContain('nothing was removed');
    expect((await farm.build(dir))['kiln.build'].steps.run).toBe(0);

    const { code, stdout, stderr } = await disown([made, '--step', '3', '--force', '--reason', 'the mirror lied']);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('2 results are disowned; 4 builds used them');
    expect(stdout).toMatch(new RegExp(`^${made} +succeeded +main .* ${tag}$`, 'm'));
    const again = await farm.build(dir);
    expect(again['kiln.build'].steps).toMatchObject({ hit: 1, run: 2 });
    expect(again['containerimage.config.digest']).not.toBe(first['containerimage.config.digest']);
    expect(again.progress).toContain('the mirror lied');
    expect((await disown([made, '--step', '3', '--force'])).stderr).toContain('has no result in the cache');
  });

  it('takes all that a build made', async () => {
    const dir = await folder('build');
    const { id } = (await farm.build(dir))['kiln.build'];
    const { stdout } = await disown([id, '--force', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ builds: [{ id, state: 'succeeded' }], protectedResults: 0 });
    expect((await farm.build(dir))['kiln.build'].steps.run).toBe(3);
  });

  it('is not for whom what would go does not trust', async () => {
    const dir = await folder('trusted');
    const { id } = (await farm.build(dir))['kiln.build'];
    const { stdout } = await disown([id, '--force'], fork);
    expect(stdout).toContain('0 results are disowned');
    expect(stdout).toContain('3 results in scopes that are trusted further stay');
    expect((await farm.build(dir))['kiln.build'].steps.run).toBe(0);
    const prune = await farm.cli(['cache', 'prune', '--force'], { env: { KILN_TOKEN: fork } }).ended;
    expect(prune.code).toBe(3);
    expect(prune.stderr).toContain('not trusted to prune');
  });

  it('says what is not there', async () => {
    expect((await disown(['no-such-build', '--force'])).stderr).toContain('has no result in the cache');
  });
});

import { BuilderRegistry } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { write } from './context.ts';
import { cgroupParent, Farm } from './farm.ts';
import { Machine } from './machine.ts';

const stack = new AsyncDisposableStack();
let farm: Farm;
let machine: Machine;
beforeAll(async () => {
  farm = stack.use(await Farm.start());
  await farm.stopBuilder('one', 'SIGTERM');
  machine = stack.use(await Machine.start());
});
afterAll(() => stack.disposeAsync());

const Ready = z.object({ event: z.literal('ready'), id: z.string() });
const Owner = z.object({ owner: z.string().nullable() });
const builderOf = async (): Promise<string | null | undefined> =>
  (await farm.db.query(Owner, 'SELECT owner FROM builds ORDER BY created_at DESC LIMIT 1'))[0]?.owner;

/** An address on loopback as the other machine has it. */
async function there(url: string): Promise<string> {
  const found = new URL(url);
  const port = await machine.open(Number(found.port));
  return url.replace(found.host, `${machine.here}:${port}`);
}

async function folder(text: string): Promise<string> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: text, file: 'x' });
  return dir;
}

describe('another machine', () => {
  it('joins by the command that the farm prints, and what it builds is everybody’s', async () => {
    const mirror = await there(`http://${farm.mirror.host}`);
    const env = {
      KILN_DATABASE_URL: await there(farm.env['KILN_DATABASE_URL'] ?? ''),
      KILN_REDIS_URL: await there(farm.env['KILN_REDIS_URL'] ?? ''),
      KILN_REGISTRY_MIRRORS: `*=stand-in:${mirror}`,
      KILN_EGRESS_ALLOW: new URL(mirror).host,
    };
    const join = ['builder', 'join', '--id', 'second', '--dir', `${farm.dir}/second`];
    const { stdout: command } = await farm.cli(join, { env: { ...farm.env, ...env } }).ended;
    const { PATH = '' } = farm.env;
    const said = await machine.sh(command, { PATH, KILN_CGROUP_PARENT: cgroupParent });
    expect(Ready.parse(JSON.parse(said)).id).toBe('second');

    const dir = await folder('FROM box:1\nCOPY file /\nRUN cp /file /other\n');
    const first = await farm.build(dir);
    expect(first['kiln.build'].steps).toMatchObject({ total: 2, run: 2 });
    expect(await builderOf()).toBe('second');

    await farm.startBuilder('here');
    await new BuilderRegistry(farm.db).drain('second', true);
    const again = await farm.build(dir, '-t', `${farm.registry.host}/acme/app:1`, '--push');
    expect(again['kiln.build'].steps).toMatchObject({ total: 2, hit: 2 });
    expect(await builderOf()).toBe('here');
  });

  it('that nobody hears any more loses its build, and takes others once it is heard again', async () => {
    await farm.stopBuilder('here', 'SIGKILL');
    await new BuilderRegistry(farm.db).drain('second', false);
    const build = farm.kilnBuild([
      await folder('FROM box:1\nRUN for i in 1 2 3; do sleep 1; done\n'),
      '--progress=plain',
    ]);
    await expect.poll(builderOf, { timeout: 20_000 }).toBe('second');
    await machine.cable('down');
    await farm.startBuilder('here');
    const { code, stderr } = await build;
    expect([code, stderr]).toEqual([0, expect.stringContaining('builder here takes the build over')]);

    await machine.cable('up');
    await farm.stopBuilder('here', 'SIGKILL');
    await farm.build(await folder('FROM box:1\nRUN echo heard\n'));
    expect(await builderOf()).toBe('second');
  });
});

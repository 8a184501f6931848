import { cp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EmbeddedFarm, type Ran, type Status } from './embedded-farm.ts';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));

let farm: EmbeddedFarm;
let before: readonly string[];
beforeAll(async () => {
  farm = await EmbeddedFarm.create();
  before = await farm.traces();
});
afterAll(() => farm[Symbol.asyncDispose]());

const Metadata = z.object({
  'containerimage.digest': z.string(),
  'kiln.build': z.object({
    steps: z.object({ total: z.int(), hit: z.int(), run: z.int(), joined: z.int() }),
    bytes: z.object({ contextSent: z.int(), pulled: z.int(), pushed: z.int() }),
  }),
});

/** Builds a directory and pushes it to the farm's own registry. */
async function build(dir: string, image: string): Promise<z.infer<typeof Metadata>> {
  const { registry } = await farm.status();
  const file = join(farm.dir, 'metadata.json');
  await farm.succeed('build', dir, '-t', `${registry.address}/${image}`, '--push', '--metadata-file', file);
  return Metadata.parse(JSON.parse(await readFile(file, 'utf8')));
}

const pidsOf = (status: Status): readonly number[] => [
  status.api.pid,
  status.services.postgres.pid,
  status.services.redis.pid,
  ...status.builders.map(({ pid }) => pid),
];

/** The first answer of a server of the node to a line. */
function answerOf(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(line));
    socket.once('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString());
    });
  });
}

describe('before anything runs', () => {
  test('status exits with 3 and says how to start', async () => {
    const { code, stderr } = await farm.kiln('status');
    expect(code).toBe(3);
    expect(stderr).toMatch(/no farm runs for .*\n.*kiln up/);
  });

  test('flags that Node has too are of kiln', async () => {
    const { code, stderr } = await farm.kiln('run', '--env-file', '/nowhere', 'app');
    expect([code, stderr]).toEqual([2, expect.stringContaining('--env-file /nowhere cannot be read')]);
  });

  test('down has nothing to do', async () => {
    expect(await farm.kiln('down')).toMatchObject({ code: 0 });
  });
});

describe('the embedded farm', () => {
  test('comes up once, however many ask for it', async () => {
    const [one, two] = await Promise.all([farm.succeed('up', '--builders', '1'), farm.succeed('up')]);
    expect(one.code + two.code).toBe(0);
    const status = await farm.status();
    expect(status.data).toBe(farm.data);
    expect(status.api.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${status.api.url}/readyz`)).status).toBe(200);
    expect((await fetch(`http://${status.registry.address}/v2/`)).status).toBe(200);
  });

  test('lets nobody in without its credentials', async () => {
    const { api, services } = await farm.status();
    expect((await fetch(`${api.url}/v1/builds`)).status).toBe(401);
    expect(await answerOf(services.redis.port, 'KEYS *\r\n')).toMatch(/^-NOAUTH/);
    for (const name of ['identity.json', 'farm.json', 'redis/redis.conf', 'registry/registry.json']) {
      expect((await stat(join(farm.data, name))).mode & 0o777).toBe(0o600);
    }
  });

  test('changes the number of its builders, and nothing else', async () => {
    const [first] = (await farm.until((status) => status.builders.length > 0)).builders;
    await farm.succeed('up', '--builders', '3');
    const three = await farm.status();
    expect(three.builders.map(({ id }) => id)).toEqual(['builder-1', 'builder-2', 'builder-3']);
    await farm.succeed('up', '--builders', '2');
    const two = await farm.status();
    expect(two.builders).toEqual(three.builders.slice(0, 2));
    expect(two.builders[0]).toEqual(first);
    expect(two.api.pid).toBe(three.api.pid);
  });

  test('builds the example, pushes it, and runs no step the second time', async () => {
    const cold = await build(join(examples, 'helloworld'), 'acme/helloworld:latest');
    expect(cold['kiln.build'].steps.run).toBeGreaterThan(0);
    const warm = await build(join(examples, 'helloworld'), 'acme/helloworld:latest');
    expect(warm['containerimage.digest']).toBe(cold['containerimage.digest']);
    const { steps, bytes } = warm['kiln.build'];
    expect(steps).toEqual({ total: cold['kiln.build'].steps.total, hit: steps.total, run: 0, joined: 0 });
    expect(bytes.pulled + bytes.pushed).toBe(0);
  });

  test('says when it runs older code than the command line', async () => {
    const stamp = fileURLToPath(new URL('../../.kiln/build.stamp', import.meta.url));
    const { atime, mtime } = await stat(stamp);
    const build = (): Promise<Ran> => farm.succeed('build', join(examples, 'helloworld'), '--progress=plain');
    expect((await build()).stderr).not.toMatch(/older build of Kiln/);
    try {
      await utimes(stamp, atime, new Date(mtime.getTime() + 5_000));
      expect((await build()).stderr).toMatch(/the farm runs an older build of Kiln; after kiln down/);
    } finally {
      await utimes(stamp, atime, mtime);
    }
  });

  test('keeps npm ci a hit when only the sources change', async () => {
    const dir = join(farm.dir, 'cached');
    await cp(join(examples, 'node-cached'), dir, { recursive: true });
    await build(dir, 'acme/cached:1');
    await writeFile(join(dir, 'index.js'), 'console.log("changed")\n');
    expect((await build(dir, 'acme/cached:2'))['kiln.build'].steps).toMatchObject({ run: 1 });
  });

  test.each(['api', 'redis', 'postgres', 'builder'] as const)('starts %s again when it is killed', async (which) => {
    const known = await farm.status();
    const pidOf = ({ api, services, builders }: Status): number | undefined =>
      ({ api, redis: services.redis, postgres: services.postgres, builder: builders[0] })[which]?.pid;
    process.kill(pidOf(known) ?? NaN, 'SIGKILL');
    const restarted = (status: Status): boolean =>
      pidOf(status) !== pidOf(known) && status.builders.every(({ state }) => state === 'ready');
    await farm.until(restarted);
    // All parts find each other again, without anybody's help.
    await expect
      .poll(async () => (await fetch(`${known.api.url}/readyz`).catch(() => undefined))?.status, { timeout: 30_000 })
      .toBe(200);
    expect((await build(join(examples, 'helloworld'), 'acme/again:1'))['kiln.build'].steps.run).toBe(0);
  });

  test('ends with its supervisor, and the next command finds all that was kept', async () => {
    const pids = pidsOf(await farm.status());
    for (const pid of await supervisors(farm.dir)) process.kill(pid, 'SIGKILL');
    await expect.poll(() => pids.filter(isAlive), { timeout: 30_000 }).toEqual([]);
    expect((await farm.kiln('status')).code).toBe(3);
    // No `up`: a build starts what it needs.
    const file = join(farm.dir, 'metadata.json');
    await farm.succeed('build', join(examples, 'helloworld'), '--metadata-file', file);
    const steps = z.object({ 'kiln.build': z.object({ steps: z.object({ run: z.int() }) }) });
    expect(steps.parse(JSON.parse(await readFile(file, 'utf8')))['kiln.build'].steps.run).toBe(0);
  });

  test('is well, and is copied while it runs', async () => {
    expect((await farm.succeed('admin', 'doctor')).stdout).toMatch(/^ok +builder builder-1 /m);
    expect((await farm.succeed('admin', 'backup', join(farm.dir, 'backup'))).stdout).toMatch(/KILN_SECRET_KEY/);
    const refused = await farm.kiln('admin', 'restore', join(farm.dir, 'backup'));
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/runs\nkiln down/) as unknown });
  });

  test('goes down and leaves nothing but its data', async () => {
    const pids = pidsOf(await farm.status());
    await farm.succeed('down');
    expect(pids.filter(isAlive)).toEqual([]);
    expect(await farm.traces()).toEqual(before);
    expect((await farm.kiln('status')).code).toBe(3);
  });

  test('comes back from its backup, with the key that was kept apart', async () => {
    const { secretKey } = z
      .object({ secretKey: z.string() })
      .parse(JSON.parse(await readFile(join(farm.data, 'identity.json'), 'utf8')));
    await rm(farm.data, { recursive: true });
    const restored = await farm.with({ KILN_SECRET_KEY: secretKey }, 'admin', 'restore', join(farm.dir, 'backup'));
    expect(restored).toMatchObject({ code: 0, stdout: expect.stringMatching(/all is well/) as unknown });
    const none = before.filter((trace) => !trace.includes(farm.data));
    expect((await farm.traces()).filter((trace) => !none.includes(trace))).toEqual([]);
    await farm.succeed('up', '--builders', '1');
    expect((await build(join(examples, 'helloworld'), 'acme/back:1'))['kiln.build'].steps.run).toBe(0);
    await farm.succeed('down');
  });

  test('starts anew where its data directory was deleted', async () => {
    await rm(farm.data, { recursive: true });
    await farm.succeed('up', '--builders', '1');
    expect((await farm.status()).builders).toHaveLength(1);
    expect(JSON.parse((await farm.succeed('builds', '--json')).stdout)).toEqual({ builds: [] });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function supervisors(dir: string): Promise<readonly number[]> {
  const lines = (await farm.traces()).filter((line) => line.includes(dir) && line.includes('apps/local/src/main.js'));
  return lines.map((line) => Number(line.trim().split(' ')[0]));
}

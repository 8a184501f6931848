import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBuildQueue } from '#dispatch';
import { seal, silentLogger, systemClock, systemRandom } from '#std';
import { BuilderRegistry } from '#storage';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runAdmin } from './admin-program.ts';
import { createBuild, startStorage, type Storage } from './farm.ts';

const Answer = z.object({
  checks: z.array(z.object({ name: z.string(), state: z.string(), message: z.string(), next: z.string().optional() })),
});

let storage: Storage;
let folder: string;
beforeAll(async () => {
  storage = await startStorage();
  folder = await mkdtemp(join(tmpdir(), 'kiln-doctor-'));
});
afterAll(async () => {
  await storage[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

// What one leaves in the queue, the next would look at twice.
afterEach(async () => {
  await using connection = await openConnection();
  await connection.flushall();
  await storage.db.execute('DELETE FROM builds');
});

const env = () => ({
  KILN_DATABASE_URL: storage.postgres.url,
  KILN_REDIS_URL: storage.redis.url,
  KILN_OBJECT_STORE: folder,
  KILN_SECRET_KEY: 'ab'.repeat(32),
});

/** What the doctor says, by name. */
async function doctor(more: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await runAdmin(['doctor', '--json'], { ...env(), ...more });
  if (stdout === '') throw new Error(stderr);
  const { checks } = Answer.parse(JSON.parse(stdout));
  return { code, checks: new Map(checks.map((check) => [check.name, check])) };
}

const wrong = (message: RegExp) => ({
  state: 'wrong',
  message: expect.stringMatching(message) as unknown,
  next: expect.any(String) as unknown,
});

describe('the doctor', () => {
  it('finds services well, and misses builders', async () => {
    const { code, checks } = await doctor();
    const well = ['postgres', 'connections', 'migrations', 'clocks', 'redis', 'eviction', 'object store', 'key'];
    for (const name of [...well, 'queue', 'jobs']) expect(checks.get(name)).toMatchObject({ state: 'ok' });
    expect(checks.get('builders')).toMatchObject(wrong(/none is heard of/));
    expect(code).toBe(1);
  });

  it('names builds that have no job, and jobs that bring no build', async () => {
    const id = await createBuild(storage);
    await storage.db.execute("UPDATE builds SET queued_at = now() - interval '1 minute'");
    await using queue = openBuildQueue({ redisUrl: storage.redis.url, clock: systemClock, logger: silentLogger });
    await queue.add([{ buildId: 'gone', attempt: 3, turn: 1 }]);
    const lost = await doctor();
    expect(lost.checks.get('queue')).toMatchObject(wrong(new RegExp(`1 queued builds have no job: ${id}`)));
    expect(lost.checks.get('jobs')).toMatchObject({
      state: 'warning',
      message: expect.stringMatching(/gone/) as unknown,
    });
    await queue.add([{ buildId: id, attempt: 1, turn: 1 }]);
    expect((await doctor()).checks.get('queue')).toMatchObject({
      state: 'ok',
      message: '1 builds wait, each with its job',
    });
  });

  it('tells of builders that are silent, drained, or not at the queue', async () => {
    const builders = new BuilderRegistry(storage.db);
    for (const id of ['silent', 'drained', 'apart']) await builders.register(id, { platforms: ['linux/amd64'] });
    await storage.db.execute("UPDATE builders SET heartbeat_at = now() - interval '1 hour' WHERE id = 'silent'");
    await builders.drain('drained', true);
    const { checks } = await doctor();
    expect(checks.get('builder silent')).toMatchObject({
      state: 'warning',
      message: expect.stringMatching(/^was last heard of 36\d\d s ago$/) as unknown,
    });
    // None is at the queue, which here knows no builder at all.
    expect(checks.get('builder drained')).toMatchObject(wrong(/^drained, linux\/amd64; it is not connected/));
    expect(checks.get('builder apart')).toMatchObject(wrong(/not connected to the queue/));
    expect(checks.has('builders')).toBe(false);
  });

  it('tells another key from the farm’s', async () => {
    const key = 'ab'.repeat(32);
    const id = await createBuild(storage, 'sealing');
    const sealed = seal(Buffer.from(key, 'hex'), `build:${id}`, Buffer.from('a secret'), systemRandom);
    await storage.db.execute('UPDATE builds SET sealed = CASE WHEN id = $1 THEN $2::bytea END', [id, sealed]);
    expect((await doctor()).checks.get('key')).toMatchObject({ state: 'ok' });
    const { code, checks } = await doctor({ KILN_SECRET_KEY: 'cd'.repeat(32) });
    expect(checks.get('key')).toMatchObject(wrong(new RegExp(`does not open .* build ${id}`)));
    expect(code).toBe(1);
  });

  it('tells of a Redis that forgets, of a schema of other times, and of a store that is none', async () => {
    await using connection = await openConnection();
    await connection.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await storage.db.execute('UPDATE schema_migrations SET number = number + 100 WHERE number > 1');
    const { code, checks } = await doctor({ KILN_OBJECT_STORE: '/dev/null/store' });
    expect(checks.get('eviction')).toMatchObject(wrong(/allkeys-lru/));
    expect(checks.get('migrations')).toMatchObject(wrong(/does not know/));
    expect(checks.get('object store')).toMatchObject(wrong(/ENOTDIR/));
    expect(code).toBe(1);
    await connection.config('SET', 'maxmemory-policy', 'noeviction');
    await storage.db.execute('UPDATE schema_migrations SET number = number - 100 WHERE number > 100');
  });

  it('says what does not answer, with exit code 3', async () => {
    const nowhere = '127.0.0.1:1';
    const away = { KILN_DATABASE_URL: `postgres://kiln@${nowhere}/kiln`, KILN_REDIS_URL: `redis://${nowhere}` };
    const { code, checks } = await doctor(away);
    expect(checks.get('postgres')).toMatchObject(wrong(/cannot be reached/));
    expect(checks.get('redis')).toMatchObject(wrong(/cannot be reached/));
    expect(checks.get('object store')).toMatchObject({ state: 'ok' });
    expect(code).toBe(3);
    expect(await runAdmin(['doctor'], {})).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/KILN_DATABASE_URL/) as unknown,
    });
  });
});

async function openConnection() {
  const connection = new Redis(storage.redis.url);
  return Object.assign(connection, { [Symbol.asyncDispose]: async () => connection.disconnect() });
}

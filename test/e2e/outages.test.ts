import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ProjectStore, TokenStore } from '#storage';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RealRegistry } from '../registry/real-registry.ts';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import type { Ran } from './kiln-in-process.ts';

const run = promisify(execFile);
const stack = new AsyncDisposableStack();
let farm: Farm;
let locked: RealRegistry;
beforeAll(async () => {
  farm = stack.use(await Farm.start());
  locked = stack.use(await RealRegistry.start({ access: { kind: 'basic' } }));
  await farm.stopBuilder('one', 'SIGKILL');
  await farm.startBuilder('one', { KILN_EGRESS_ALLOW: `${farm.registry.host},${locked.host},127.0.0.1:9` });
});
afterAll(() => stack.disposeAsync());

let built = 0;
/** Whatever happened, the next build is fine. */
afterEach(async () => {
  await farm.build(await folder(`FROM box:1\nRUN echo next ${++built}\n`));
});

async function folder(dockerfile: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: dockerfile, ...files });
  return dir;
}

async function build(dockerfile: string, ...args: readonly string[]): Promise<Ran> {
  return await farm.kilnBuild([await folder(dockerfile), ...args]);
}

async function signIn(password: string | undefined): Promise<void> {
  const auths =
    password === undefined ? {} : { [locked.host]: { auth: Buffer.from(`ci:${password}`).toString('base64') } };
  await mkdir(join(farm.dir, '.docker'), { recursive: true });
  await writeFile(join(farm.dir, '.docker/config.json'), JSON.stringify({ auths }));
}

describe('a push', () => {
  it('to a registry that is not there fails with its name, after the steps are in the cache', async () => {
    const dockerfile = 'FROM box:1\nRUN echo unreachable\n';
    const { code, stderr } = await build(dockerfile, '-t', '127.0.0.1:9/acme/app:1', '--push');
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/127\.0\.0\.1:9 cannot be reached/);
    expect((await farm.build(await folder(dockerfile)))['kiln.build'].steps).toMatchObject({ run: 0, hit: 1 });
  });

  it.each([
    ['credentials that are no good any more', 'expired-password'],
    ['no credentials', undefined],
  ])('with %s says how to sign in, and nothing of the secret', async (_, password) => {
    await signIn(password);
    const { code, stdout, stderr } = await build('FROM box:1\nRUN true\n', '-t', `${locked.host}/acme/app:1`, '--push');
    expect(code, stderr).toBe(1);
    expect(stderr).toContain(locked.host);
    expect(stderr).toContain(`docker login ${locked.host}`);
    expect(stdout + stderr + farm.logs()).not.toContain('expired-password');
  });

  it('with credentials goes where it should, and the image can be built upon', async () => {
    await signIn('secret');
    const image = `${locked.host}/acme/app:1`;
    await farm.build(await folder('FROM box:1\nRUN echo private > /file\n'), '-t', image, '--push');
    const { progress } = await farm.build(await folder(`FROM ${image}\nRUN cat /file\n`), '--progress=plain');
    expect(progress).toMatch(/#\d+ [\d.]+ private/);
    await signIn(undefined);
    const refused = await build(`FROM ${image}\nRUN cat /file\n`, '--pull');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`docker login ${locked.host}`);
  });
});

describe('credentials that the project keeps', () => {
  it('are for its builds, but not for a fork’s, and are told to nobody', async () => {
    await signIn(undefined);
    const image = `${locked.host}/acme/kept:1`;
    const answer = await fetch(`${farm.url}/v1/registries/${encodeURIComponent(locked.host)}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${farm.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'ci', password: 'secret' }),
    });
    expect(answer.status).toBe(200);
    await farm.build(await folder('FROM box:1\nRUN echo kept > /file\n'), '-t', image, '--push');
    await farm.build(await folder(`FROM ${image}\nRUN cat /file\n`), '--pull');

    const fork = await new ProjectStore(farm.db).ensure('default', 'fork', { parent: 'main', trust: 'fork' });
    const KILN_TOKEN = await new TokenStore(farm.db).create({ ...fork, permissions: ['build', 'read'] });
    const pushed = await farm.kilnBuild([await folder('FROM box:1\nRUN true\n'), '-t', image, '--push'], {
      env: { KILN_TOKEN },
    });
    expect(pushed.code, pushed.stderr).toBe(1);
    expect(pushed.stderr).toContain(`docker login ${locked.host}`);
    // Nor does it know what others found with them.
    const known = await farm.kilnBuild([await folder(`FROM ${image}\nRUN cat /file\n`)], { env: { KILN_TOKEN } });
    expect(known.code, known.stderr).toBe(1);
    expect(known.stderr).toContain(`docker login ${locked.host}`);

    const own = Buffer.from('ci:secret').toString('base64');
    const sealed =
      'SELECT 1 FROM builds b WHERE b.request::text LIKE $1 UNION ALL SELECT 1 FROM build_events e WHERE e.payload::text LIKE $1';
    for (const text of [own, '"password"']) {
      expect(farm.logs()).not.toContain(text);
      expect(await farm.db.execute(sealed, [`%${text}%`])).toBe(0);
    }
    const path = `${farm.url}/v1/registries/${encodeURIComponent(locked.host)}`;
    await fetch(path, { method: 'DELETE', headers: { authorization: `Bearer ${farm.token}` } });
    const refused = await build('FROM box:1\nRUN true\n', '-t', image, '--push');
    expect(refused.code).toBe(1);
  });
});

describe('a base image', () => {
  it('that is not there is named, with its line', async () => {
    const { code, stderr } = await build(`FROM ${farm.registry.host}/acme/nothing:1\nRUN true\n`);
    expect(code).toBe(1);
    expect(stderr).toMatch(/has not got .*acme\/nothing:1/);
    expect(stderr).toMatch(/> *1 \| FROM/);
    expect(stderr).toMatch(/check the name and the tag/);
  });
});

describe('a context', () => {
  it('over the limit is refused before anything is built', async () => {
    await farm.startApi({ KILN_CONTEXT_MAX_BYTES: '2000000' });
    const dir = await folder('FROM box:1\nCOPY . /\n', { 'large.bin': randomBytes(3_000_000).toString('latin1') });
    const { code, stderr } = await farm.cli(['build', dir]).ended;
    expect(code, stderr).toBe(3);
    expect(stderr).toMatch(/the context is larger than 2000000 bytes/);
    expect(stderr).toMatch(/\.dockerignore/);
    expect(stderr).not.toContain('transferring');
    await farm.startApi();
  });
});

describe('a full disk', () => {
  it('fails the build that filled it, says so, and is empty again', async () => {
    await farm.stopBuilder('one', 'SIGKILL');
    const dir = join(farm.dir, 'builder-small');
    await mkdir(dir);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=48m,mode=0711', 'tmpfs', dir]);
    try {
      await chmod(dir, 0o711);
      await farm.startBuilder('small');
      const filled = await build('FROM box:1\nRUN dd if=/dev/zero of=/big bs=1M count=100\n');
      expect(filled.code).toBe(1);
      expect(filled.stderr).toMatch(/No space left on device/);
      expect(filled.stderr).toMatch(/the builder’s disk is full: make room/);
      // Fits as it is, but not as a layer beside it.
      const settling = await build('FROM box:1\nRUN head -c 30000000 /dev/urandom > /big\n');
      expect(settling.code, settling.stderr).toBe(1);
      expect(settling.stderr).toMatch(/the builder’s disk is full/);
      await farm.build(await folder('FROM box:1\nRUN echo room again\n'));
    } finally {
      await farm.stopBuilder('small', 'SIGKILL');
      await run('umount', [dir]);
      await farm.startBuilder('one', { KILN_EGRESS_ALLOW: `${farm.registry.host},${locked.host}` });
    }
  });
});

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FaultProxy, S3Server, s3Credentials } from '#testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EmbeddedFarm } from './embedded-farm.ts';

const stack = new AsyncDisposableStack();
let server: S3Server;
let proxy: FaultProxy;
let farm: EmbeddedFarm;
let store: string;
beforeAll(async () => {
  server = stack.use(await S3Server.start());
  proxy = stack.use(await FaultProxy.start(server.url));
  farm = stack.use(
    await EmbeddedFarm.create({
      AWS_ACCESS_KEY_ID: s3Credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3Credentials.secretAccessKey,
    }),
  );
  store = `s3://blobs/team?endpoint=${proxy.url}&pathStyle=true`;
});
afterAll(() => stack.disposeAsync());

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

const Metadata = z.object({
  'containerimage.config.digest': z.string(),
  'kiln.build': z.object({ id: z.string(), steps: z.object({ total: z.int(), hit: z.int(), run: z.int() }) }),
});

async function folder(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const dir = join(farm.dir, name);
  await mkdir(dir);
  for (const [path, text] of Object.entries(files)) await writeFile(join(dir, path), text);
  return dir;
}

async function build(dir: string, metadata = 'metadata.json'): Promise<z.infer<typeof Metadata>> {
  const file = join(farm.dir, metadata);
  await farm.succeed('build', dir, '--metadata-file', file);
  return Metadata.parse(JSON.parse(await readFile(file, 'utf8')));
}

const Builds = z.object({ builds: z.array(z.object({ id: z.string() })) });

async function newestLog(): Promise<string> {
  const { builds } = Builds.parse(JSON.parse((await farm.succeed('builds', '--json', '--limit', '1')).stdout));
  return (await farm.succeed('logs', builds[0]?.id ?? '')).stdout;
}

const Dockerfile = 'FROM busybox:1\nCOPY data.txt /\nRUN sort data.txt > sorted && env > /environment\n';
const data = Array.from({ length: 200_000 }, (_, index) => `line ${index}`).join('\n');

describe('a farm whose blobs are in a bucket', () => {
  test('is refused where the address is wrong', async () => {
    expect(await farm.kiln('up', '--object-store', 'blobs')).toMatchObject({
      code: 2,
      stderr: matching(/--object-store.*\n.*s3:\/\//),
    });
    const { code, stderr } = await farm.kiln('up', '--object-store', 's3://blobs?zone=1');
    expect([code, stderr]).toEqual([3, matching(/unknown parameter zone/)]);
  });

  test('builds, and the second time from the cache', async () => {
    await farm.succeed('up', '--object-store', store);
    expect((await farm.status()).objectStore).toBe(store);
    const dir = await folder('app', { Dockerfile, 'data.txt': data });
    const first = await build(dir);
    expect(first['kiln.build'].steps).toMatchObject({ run: 2 });
    const again = await build(dir);
    expect(again['kiln.build'].steps).toMatchObject({ run: 0, hit: 2 });
    expect(again['containerimage.config.digest']).toBe(first['containerimage.config.digest']);
    expect((await readdir(join(server.dir, 'blobs/team'))).sort()).toEqual(['sha256']);
    expect(await readdir(join(farm.data, 'content'))).toEqual([]);
  });

  test('answers before what the next build will want is there, and loses nothing of it', async () => {
    const made = 'FROM busybox:1 AS made\nRUN head -c 7000000 /dev/urandom > large && echo small > small\n';
    const stages = `${made}FROM busybox:1\nCOPY --from=made small /\n`;
    const dir = await folder('stages', { Dockerfile: stages });
    const other = await folder('one-stage', { Dockerfile: `${made}RUN wc -c large\n` });
    let next: Promise<z.infer<typeof Metadata>>;
    {
      using held = proxy.hold(({ method, headers }) => method === 'PUT' && Number(headers['content-length']) > 6e6);
      expect((await build(dir))['kiln.build'].steps).toMatchObject({ run: 2 });
      expect(held.count()).toBeGreaterThan(0);
      next = build(other, 'other.json');
      await expect.poll(newestLog, { timeout: 60_000 }).toContain('waiting for build');
    }
    // It has waited for the step that the first had run.
    expect((await next)['kiln.build'].steps).toMatchObject({ run: 1 });
    expect((await build(dir))['kiln.build'].steps).toMatchObject({ run: 0, hit: 2 });
  });

  test('keeps the credentials from steps', async () => {
    const dir = await folder('nosy', { Dockerfile: 'FROM busybox:1\nRUN env && cat /proc/*/environ; true\n' });
    const { stdout, stderr } = await farm.succeed('build', dir, '--progress=plain', '--no-cache');
    expect(stdout + stderr).toContain('PATH=');
    expect(stdout + stderr).not.toContain('AWS_');
  });

  test('keeps its store until it is down, and is on it again when it is up', async () => {
    const other = await farm.kiln('up', '--object-store', 's3://other');
    expect(other).toMatchObject({ code: 3, stderr: matching(/another object store.*team/) });
    await farm.succeed('down');
    await farm.succeed('up');
    expect((await farm.status()).objectStore).toBe(store);
    expect((await build(join(farm.dir, 'app')))['kiln.build'].steps).toMatchObject({ run: 0, hit: 2 });
  });

  test('fails a build by name while the bucket is away, and builds the next one', async () => {
    const dir = await folder('away', { Dockerfile: 'FROM busybox:1\nCOPY data.txt /\n', 'data.txt': 'away' });
    proxy.next(9_999, () => true, { kind: 'answer', status: 503, body: '<Error><Code>SlowDown</Code></Error>' });
    const { code, stderr } = await farm.kiln('build', dir);
    expect(code, stderr).not.toBe(0);
    expect(stderr).toMatch(/the object store answered 503/);
    expect(stderr).toMatch(/KILN_OBJECT_STORE/);
    proxy.heal();
    expect((await build(dir))['kiln.build'].steps).toMatchObject({ run: 1 });
  });
});

import { randomBytes } from 'node:crypto';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { digestOf } from '#oci';
import { BuildView } from '#protocol';
import { FaultProxy, type ProxiedRequest } from '#testing';
import { Farm, Metadata } from './farm.ts';
import type { Ran } from './kiln-in-process.ts';
import { write } from './context.ts';

let farm: Farm;
let proxy: FaultProxy;
beforeAll(async () => {
  farm = await Farm.start();
  proxy = await FaultProxy.start(farm.url);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await farm[Symbol.asyncDispose]();
});
beforeEach(() => forget());

const forget = (): void => void proxy.requests.splice(0);
const env = (): Record<string, string> => ({ KILN_URL: proxy.url });
const isBlob = ({ path }: ProxiedRequest): boolean => path.startsWith('/v1/blobs') && !path.endsWith('/missing');
const isPart = ({ method, headers }: ProxiedRequest): boolean =>
  method === 'PUT' && headers['content-type'] === 'application/octet-stream';
/** Bytes of each request that brought files. */
const uploads = (): readonly number[] =>
  proxy.requests.filter(isBlob).map(({ headers }) => Number(headers['content-length']));
const sum = (sizes: readonly number[]): number => sizes.reduce((all, size) => all + size, 0);

async function build(dir: string, ...args: readonly string[]): Promise<Metadata['kiln.build'] & { progress: string }> {
  const file = join(await farm.folder(), 'metadata.json');
  const { code, stderr } = await farm.kilnBuild([dir, '--metadata-file', file, ...args], { env: env() });
  if (code !== 0) throw new Error(`kiln build exited with ${code}:\n${stderr}\n${farm.logs()}`);
  return { ...Metadata.parse(JSON.parse(await readFile(file, 'utf8')))['kiln.build'], progress: stderr };
}
const fails = async (dir: string): Promise<Ran> => await farm.kilnBuild([dir], { env: env() });

/** Files that nothing makes smaller, of 10 kB each. */
async function folder(files: number, dockerfile: string): Promise<string> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: dockerfile, 'src/.keep': '' });
  for (let index = 0; index < files; index++) await writeFile(join(dir, `src/f${index}`), randomBytes(10_000));
  return dir;
}

async function checkout(dir: string): Promise<string> {
  const fresh = await farm.folder();
  await cp(dir, fresh, { recursive: true });
  return fresh;
}

it('sends what a build needs once, and then what has changed', async () => {
  const dir = await folder(100, 'FROM box:1\nCOPY src /src\nRUN ls /src\n');
  const unused = randomBytes(500_000);
  await writeFile(join(dir, 'unused'), unused);
  const first = await build(dir);
  expect(first.steps.run).toBe(2);
  expect(sum(uploads())).toBeGreaterThan(1_000_000);
  expect(sum(uploads())).toBeLessThan(1_200_000);
  expect(await missing(digestOf(unused))).toBe(true);
  expect(first.progress).toMatch(/transferring context: 103 files, 1\.5 MB \(1\.\d MB sent\)/);

  // Every time is another one, and nothing is asked for.
  forget();
  const fresh = await checkout(dir);
  expect((await build(fresh)).steps).toMatchObject({ run: 0, hit: 2 });
  expect(uploads()).toEqual([]);
  const manifests = proxy.requests.filter(({ path }) => path === '/v1/contexts');
  expect(manifests.map(({ headers }) => Number(headers['content-length']) < 10_000)).toEqual([true]);

  forget();
  await writeFile(join(fresh, 'src/f7'), randomBytes(300_000));
  expect((await build(fresh)).steps).toMatchObject({ run: 2, hit: 0 });
  expect(uploads().length).toBe(1);
  expect(sum(uploads())).toBeGreaterThan(300_000);
  expect(sum(uploads())).toBeLessThan(310_000);
});

async function missing(digest: string): Promise<boolean> {
  const answer = await fetch(`${farm.url}/v1/blobs/missing`, {
    method: 'POST',
    headers: { authorization: `Bearer ${farm.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ digests: [digest] }),
  });
  return (await answer.text()).includes(digest);
}

it('sends little at once, and large files that no step reads never', async () => {
  const dir = await folder(3, 'FROM scratch\nCOPY src /src\n');
  await build(dir);
  // The Dockerfile and all the rest in one pack, before the build.
  expect(uploads().length).toBe(1);
  const names = proxy.requests.map(({ path }) => path.replace(/[a-z0-9]{20}/, 'ID'));
  expect(names.slice(0, 3)).toEqual(['/v1/contexts', '/v1/blobs', '/v1/builds']);
  forget();
  await writeFile(join(dir, 'large'), randomBytes(3_000_000));
  expect((await build(dir)).steps.run).toBe(0);
  expect(uploads()).toEqual([]);
});

it('sends again what the farm has lost', async () => {
  const dir = await folder(2, 'FROM scratch\nCOPY src/f0 /\n');
  const bytes = await readFile(join(dir, 'src/f0'));
  await build(dir);
  await farm.content.remove(new Set([digestOf(bytes)]));
  forget();
  expect((await build(dir, '--no-cache')).steps.run).toBe(1);
  expect(uploads().length).toBe(1);
});

it('fails by name where a file changes under its hand, and not the next time', async () => {
  const dir = await folder(40, 'FROM scratch\nCOPY src /src\n');
  const held = proxy.hold(({ method, path }) => method === 'POST' && path === '/v1/builds');
  const running = fails(dir);
  while (held.count() === 0) await delay(5);
  await writeFile(join(dir, 'src/f1'), randomBytes(10_000));
  held[Symbol.dispose]();
  const ran = await running;
  expect(ran.code).toBe(1);
  expect(ran.stderr).toContain('"src/f1" of the context changed while it was read');
  expect((await build(dir)).steps.run).toBe(1);
});

it('goes on with a large file where the connection broke', async () => {
  const dir = await folder(0, 'FROM scratch\nCOPY large /\n');
  await writeFile(join(dir, 'large'), randomBytes(20 * 1024 * 1024));
  const last = (request: ProxiedRequest): boolean =>
    isPart(request) && Number(request.headers['content-length']) < 8 * 1024 * 1024;
  proxy.next(4, last, { kind: 'reset' });
  const broken = await fails(dir);
  expect(broken).toMatchObject({ code: 1, stderr: expect.stringContaining('the client could not send') as string });
  expect(proxy.requests.filter((each) => isPart(each) && !last(each)).length).toBe(2);
  forget();
  expect((await build(dir)).steps.run).toBe(1);
  expect(proxy.requests.filter(isPart).map(last)).toEqual([true]);
});

it('sends all before it leaves', async () => {
  const dir = await folder(40, 'FROM scratch\nCOPY src /src\n');
  await writeFile(join(dir, 'unused'), randomBytes(2_000_000));
  const { code, stdout } = await farm.kilnBuild([dir, '--detach'], { env: env() });
  expect(code).toBe(0);
  expect(sum(uploads())).toBeGreaterThan(2_400_000);
  expect(proxy.requests.some(({ path }) => path.endsWith('/session'))).toBe(false);
  const headers = { authorization: `Bearer ${farm.token}` };
  const id = stdout.trim();
  await (await fetch(`${farm.url}/v1/builds/${id}/logs?follow=true`, { headers })).text();
  const view = BuildView.parse(await (await fetch(`${farm.url}/v1/builds/${id}`, { headers })).json());
  expect(view).toMatchObject({ state: 'succeeded', context: { files: 43 } });
});

import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf, parseReference } from '#oci';
import { RegistryClient } from '#registry';
import { silentLogger, single, systemClock } from '#std';
import { RealRegistry } from '../registry/real-registry.ts';
import { write } from './context.ts';
import { Farm, type Metadata } from './farm.ts';

/** Two farms that share nothing but a registry: the first writes caches, the second has never seen a thing. */
let one: Farm;
let two: Farm;
let closed: RealRegistry;
beforeAll(async () => {
  const egressAllow = ['127.0.0.0/8'];
  [one, two, closed] = await Promise.all([
    Farm.start({ egressAllow }),
    Farm.start({ egressAllow }),
    RealRegistry.start({ access: { kind: 'basic' } }),
  ]);
});
afterAll(() => Promise.all([one, two, closed].map((each) => each[Symbol.asyncDispose]())));

const cacheOf = (built: Metadata) => built['kiln.build'].cache;

/** A project that no other test has: a stage that makes something, and an image that takes it. */
async function project(name: string): Promise<string> {
  const dir = await one.folder();
  await write(dir, {
    Dockerfile: [
      'FROM box:1 AS made',
      `RUN head -c 600000 /dev/urandom > /big && echo ${name} > /name`,
      'COPY in.txt /',
      'RUN cat /in.txt /name > /out',
      'FROM box:1',
      `WORKDIR /srv/${name}`,
      'COPY --from=made /out .',
      'RUN echo last && head -c 300000 /dev/urandom > noise',
      '',
    ].join('\n'),
    'in.txt': 'in\n',
  });
  return dir;
}

const steps = (built: Metadata) => built['kiln.build'].steps;
const pulled = (built: Metadata) => built['kiln.build'].bytes.pulled;
const digest = (built: Metadata) => built['containerimage.config.digest'];
const cacheRef = (name: string): string => `${one.registry.host}/cache/${name}:main`;

describe('a cache at a registry', () => {
  it('gives a farm that has nothing every step, the same image, and moves no layer; later builds need no cache', async () => {
    const dir = await project('max');
    const ref = cacheRef('max');
    const first = await one.build(dir, '--cache-to', `type=registry,ref=${ref},mode=max`);
    expect(cacheOf(first)?.exports).toMatchObject([{ type: 'registry', results: 6 }]);
    const there = await two.build(dir, '--cache-from', `type=registry,ref=${ref}`);
    expect(steps(there)).toEqual({ total: 6, hit: 6, run: 0, joined: 0 });
    expect(digest(there)).toBe(digest(first));
    expect(cacheOf(there)?.imports).toMatchObject([{ state: 'read', results: 6, hits: 6 }]);
    expect(pulled(there)).toBe(0);
    const without = await two.build(dir);
    expect(steps(without)).toMatchObject({ hit: 6, run: 0 });
    expect(digest(without)).toBe(digest(first));
    expect(pulled(without)).toBe(0);
    // What is needed comes, from where the cache was.
    await write(dir, { 'in.txt': 'changed\n' });
    const changed = await two.build(dir, '--output', `type=oci,dest=${join(await two.folder(), 'a.tar')}`);
    expect(steps(changed)).toEqual({ total: 6, hit: 2, run: 4, joined: 0 });
    expect(pulled(changed)).toBeGreaterThan(600_000);
  });

  it('is written again for nothing, says the same then, and takes layers from the image beside it', async () => {
    const dir = await project('again');
    const ref = `${one.registry.host}/apps/cache:again`;
    const args = ['-t', `${one.registry.host}/apps/again:1`, '--push', '--cache-to', `type=registry,ref=${ref}`];
    const first = await one.build(dir, ...args);
    expect(cacheOf(first)?.exports[0]?.uploadedBytes).toBeLessThan(100_000);
    const again = await one.build(dir, ...args);
    expect(steps(again).run).toBe(0);
    expect(cacheOf(again)?.exports).toMatchObject([{ uploadedBytes: 0 }]);
  });

  it('is found by content too, on a step that ran here and made the same', async () => {
    const dir = await one.folder();
    const text = (comment: string): string =>
      `FROM box:1\nRUN echo below > /below # ${comment}\nRUN head -c 200000 /dev/urandom > /above\n`;
    await write(dir, { Dockerfile: text('one') });
    const ref = cacheRef('content');
    await one.build(dir, '--cache-to', `type=registry,ref=${ref},mode=max`);
    await write(dir, { Dockerfile: text('two') });
    const out = await two.folder();
    const there = await two.build(dir, '--cache-from', ref, '--output', `type=local,dest=${out}`);
    expect(steps(there)).toMatchObject({ hit: 1, run: 1 });
    expect((await readFile(join(out, 'above'))).byteLength).toBe(200_000);
    // What was taken is the farm's own now.
    await rm(out, { recursive: true });
    const again = await two.build(dir, '--output', `type=local,dest=${out}`);
    expect(steps(again)).toMatchObject({ hit: 2, run: 0 });
    expect((await readFile(join(out, 'above'))).byteLength).toBe(200_000);
  });

  it('has nothing to do with a step that ran here, though it has the same layer', async () => {
    const dir = await one.folder();
    await write(dir, { Dockerfile: 'FROM scratch\nCOPY in.txt /own/\n', 'in.txt': 'own\n' });
    const ref = cacheRef('own');
    await one.build(dir, '--cache-to', `type=registry,ref=${ref},mode=max`);
    await write(dir, { Dockerfile: 'FROM scratch\nCOPY in.txt /own/in.txt\n' });
    const there = await two.build(dir, '--cache-from', ref);
    expect(steps(there)).toMatchObject({ hit: 0, run: 1 });
    expect(cacheOf(there)?.imports).toMatchObject([{ state: 'read', results: 1, hits: 0 }]);
    expect(steps(await two.build(dir))).toMatchObject({ hit: 1, run: 0 });
  });

  it('with mode=min has what the image consists of', async () => {
    const dir = await project('min');
    const ref = cacheRef('min');
    const first = await one.build(dir, '--cache-to', ref);
    expect(cacheOf(first)?.exports).toMatchObject([{ results: 3 }]);
    const there = await two.build(dir, '--cache-from', ref);
    expect(steps(there)).toMatchObject({ run: 0 });
    expect(digest(there)).toBe(digest(first));
  });

  it('may be an index with Docker’s media types, compressed otherwise', async () => {
    const dir = await project('index');
    const ref = cacheRef('index');
    const spec = `type=registry,ref=${ref},mode=max,image-manifest=false,oci-mediatypes=false,compression=gzip,compression-level=1,force-compression=true`;
    await one.build(dir, '--cache-to', spec);
    const there = await two.build(dir, '--cache-from', ref, '--output', `type=local,dest=${await two.folder()}`);
    expect(steps(there)).toMatchObject({ hit: 6, run: 0 });
  });

  it('that several platforms write one after the other has them all', async () => {
    const dir = await one.folder();
    await write(dir, { Dockerfile: 'FROM scratch\nCOPY in.txt /platforms/\n', 'in.txt': 'platforms\n' });
    const ref = cacheRef('platforms');
    for (const platform of ['linux/amd64', 'linux/arm64'])
      await one.build(dir, '--platform', platform, '--cache-to', `type=registry,ref=${ref},mode=max`);
    const there = await two.build(dir, '--platform', 'linux/amd64,linux/arm64', '--cache-from', ref);
    expect(steps(there)).toEqual({ total: 2, hit: 2, run: 0, joined: 0 });
  });
});

describe('a cache in an image', () => {
  it('has all steps of the image, also where only a build argument asks for it', async () => {
    const dir = await project('argument');
    const tag = `${one.registry.host}/apps/argument:1`;
    await one.build(dir, '-t', tag, '--push', '--build-arg', 'BUILDKIT_INLINE_CACHE=1');
    expect(steps(await two.build(dir, '--cache-from', tag))).toMatchObject({ run: 0 });
  });

  it('is found by the name of the image; a step on top of it sees its files', async () => {
    const dir = await project('inline');
    const tag = `${one.registry.host}/apps/inline:1`;
    const first = await one.build(dir, '-t', tag, '--push', '--cache-to', 'type=inline');
    expect(cacheOf(first)?.exports).toMatchObject([{ type: 'inline', results: 3 }]);
    const again = await one.build(dir, '-t', tag, '--push', '--build-arg', 'BUILDKIT_INLINE_CACHE=1');
    expect(again['containerimage.digest']).toBe(first['containerimage.digest']);
    const there = await two.build(dir, '-t', tag, '--push', '--cache-from', tag, '--cache-to', 'type=inline');
    expect(steps(there)).toMatchObject({ run: 0 });
    expect(there['containerimage.digest']).toBe(first['containerimage.digest']);
    expect(there['kiln.build'].bytes).toMatchObject({ pulled: 0, pushed: 0 });
    await writeFile(join(dir, 'Dockerfile'), 'RUN grep -q inline out\n', { flag: 'a' });
    const more = await two.build(dir, '--cache-from', tag);
    expect(steps(more)).toMatchObject({ run: 1 });
    const later = await two.build(dir);
    expect(steps(later)).toMatchObject({ run: 0 });
  });
});

describe('a cache in a directory', () => {
  it('comes and goes as an OCI layout', async () => {
    const dir = await project('local');
    const layout = await one.folder();
    const first = await one.build(dir, '--cache-to', `type=local,dest=${layout},mode=max`);
    expect(await readdir(layout)).toEqual(['blobs', 'index.json', 'oci-layout']);
    const there = await two.build(
      dir,
      '--cache-from',
      `type=local,src=${layout}`,
      '--cache-from',
      'type=local,src=no-such',
    );
    expect(steps(there)).toEqual({ total: 6, hit: 6, run: 0, joined: 0 });
    expect(digest(there)).toBe(digest(first));
    expect(there.progress).toContain('--cache-from no-such is not used');
    expect(steps(await two.build(dir))).toMatchObject({ hit: 6 });
  });
});

describe('what cannot be used', () => {
  const client = () =>
    new RegistryClient({
      clock: systemClock,
      credentials: () => Promise.resolve(null),
      mirrors: [],
      plainHttp: [],
      logger: silentLogger,
      egress: { allow: ['127.0.0.0/8'] },
    });
  const config = 'application/vnd.buildkit.cacheconfig.v0';

  /** A manifest of one document. */
  async function put(ref: string, type: string, document: string): Promise<void> {
    await using registry = client();
    const descriptor = { mediaType: type, digest: digestOf(document), size: Buffer.byteLength(document) };
    await registry.pushBlob(parseReference(ref), descriptor, () => single(document));
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = {
      schemaVersion: 2,
      mediaType,
      config: { ...descriptor, mediaType: config },
      layers: [descriptor],
    };
    await registry.pushManifest(parseReference(ref), mediaType, Buffer.from(JSON.stringify(manifest)));
  }

  it('is told, and the build goes on', async () => {
    const dir = await one.folder();
    await write(dir, { Dockerfile: 'FROM box:1\nRUN echo told\n' });
    const layer = `sha256:${'ab'.repeat(32)}`;
    // As BuildKit 0.11 wrote it.
    await put(
      cacheRef('buildkit'),
      config,
      `{"layers":[{"blob":"${layer}","parent":-1}],"records":[{"digest":"${layer}"},{"layers":[{"layer":0,"createdAt":"2026-01-02T03:04:05Z"}],"digest":"${layer}","inputs":[[{"link":0}]]}]}`,
    );
    await put(cacheRef('looping'), config, '{"records":[{"digest":"a","inputs":[[{"link":0}]]}]}');
    await put(cacheRef('broken'), 'application/vnd.kiln.cache.v1+json', '{"v":1,"layers":[{}],"results":[]}');
    const refs = ['buildkit', 'looping', 'broken', 'nothing-there'].map(cacheRef);
    const built = await one.build(
      dir,
      ...[...refs, `${closed.host}/a/b:c`, `${one.mirror.host}/library/box:1`].flatMap((ref) => ['--cache-from', ref]),
    );
    const said = cacheOf(built)?.imports.map(({ state, message }) => `${state}: ${message}`);
    expect(said).toEqual([
      expect.stringContaining('empty: was written by BuildKit, whose keys cannot be compared') as string,
      expect.stringContaining('failed: not a cache config that can be read: its records form a loop') as string,
      expect.stringContaining('failed: not a cache of Kiln that can be read: layers.0') as string,
      expect.stringContaining('failed: ') as string,
      expect.stringContaining('failed: ') as string,
      'empty: has no cache in it',
    ]);
    for (const ref of refs) expect(built.progress).toContain(`--cache-from ${ref}`);
    // Nobody waits for what the farm does not need.
    const again = await one.build(dir, '--cache-from', cacheRef('nothing-there'));
    expect(steps(again)).toMatchObject({ hit: 1 });
  });

  it('to write to is a failure, or a warning with ignore-error', async () => {
    const dir = await one.folder();
    await write(dir, { Dockerfile: 'FROM box:1\nRUN echo failing\n' });
    const spec = `type=registry,ref=${closed.host}/a/b:c`;
    const failed = await one.cli(['build', dir, '--cache-to', spec]).ended;
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain(closed.host);
    const built = await one.build(dir, '--cache-to', `${spec},ignore-error=true`);
    expect(built.progress).toMatch(/--cache-to .* was not written/);
  });

  it('of a cache that lost its layers is built again', async () => {
    const dir = await project('lost');
    const ref = cacheRef('lost');
    await one.build(dir, '--cache-to', `type=registry,ref=${ref},mode=max`);
    const there = await two.build(dir, '--cache-from', ref);
    expect(steps(there)).toMatchObject({ hit: 6 });
    const data = join(one.registry.directory, 'data/docker/registry/v2/repositories/cache/lost/_layers/sha256');
    for (const name of await readdir(data)) await rm(join(data, name), { recursive: true });
    const out = await two.folder();
    const again = await two.build(dir, '--output', `type=local,dest=${out}`);
    expect(steps(again)).toMatchObject({ run: 6 });
    expect(await readFile(join(out, 'srv/lost/out'), 'utf8')).toBe('in\nlost\n');
  });
});

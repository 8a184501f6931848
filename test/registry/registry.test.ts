import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGzip, gunzipSync } from 'node:zlib';
import { type AssembledImage, assembleImage, type PushEvent, pushImage, writeOciLayout } from '#exporter';
import { type Descriptor, digestOf, type Layer, mediaType, parseReference } from '#oci';
import { type EgressPolicy, type Mirror, RegistryClient } from '#registry';
import { type Bytes, collect, isKilnError, silentLogger, single, systemClock } from '#std';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RealRegistry } from './real-registry.ts';

const run = promisify(execFile);
const LIMIT = 256 * 1024 * 1024;
const platform = { os: 'linux', architecture: 'amd64' };

let registry: RealRegistry;
let directory: string;
beforeAll(async () => {
  registry = await RealRegistry.start();
  directory = await mkdtemp(join(tmpdir(), 'kiln-images-'));
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function newClient(mirrors: readonly Mirror[] = [], egress: EgressPolicy = { allow: ['127.0.0.0/8'] }): RegistryClient {
  return new RegistryClient({
    clock: systemClock,
    credentials: () => Promise.resolve(null),
    mirrors,
    plainHttp: [],
    logger: silentLogger,
    egress,
  });
}

/** A gzipped layer with one file of a content. */
async function newLayer(path: string, content: Uint8Array): Promise<{ layer: Layer; bytes: Buffer }> {
  const archive = pack();
  archive.entry({ name: path, mtime: new Date(0) }, Buffer.from(content));
  archive.finalize();
  const bytes = await collect(archive.pipe(createGzip()), LIMIT);
  const descriptor = { mediaType: mediaType.ociLayerGzip, digest: digestOf(bytes), size: bytes.length };
  return { layer: { descriptor, diffId: digestOf(gunzipSync(bytes)) }, bytes };
}

interface Sample {
  readonly image: AssembledImage;
  readonly open: (descriptor: Descriptor) => Bytes;
  readonly opened: Descriptor[];
}

async function newImage(...sizes: readonly number[]): Promise<Sample> {
  const layers = await Promise.all(sizes.map((size, index) => newLayer(`file${index}`, randomBytes(size))));
  const blobs = new Map(layers.map(({ layer, bytes }) => [layer.descriptor.digest, bytes]));
  const opened: Descriptor[] = [];
  const image = assembleImage({
    platform,
    config: { Cmd: ['/file0'], Env: ['A=b'] },
    history: sizes.map((_, index) => ({ createdBy: `COPY file${index} /`, emptyLayer: false })),
    layers: layers.map(({ layer }) => layer),
    createdAt: '2026-01-02T03:04:05Z',
  });
  const open = (descriptor: Descriptor): Bytes => {
    opened.push(descriptor);
    return Readable.from([blobs.get(descriptor.digest)]);
  };
  return { image, open, opened };
}

async function push(
  client: RegistryClient,
  sample: Sample,
  name: string,
  mountFrom?: string,
): Promise<{ uploadedBytes: number; outcomes: readonly string[] }> {
  const events: PushEvent[] = [];
  const { uploadedBytes } = await pushImage({
    client,
    image: sample.image,
    reference: parseReference(`${registry.host}/${name}`),
    openLayer: sample.open,
    mountCandidates: new Map(
      sample.image.manifest.layers.map(({ digest }) => [
        digest,
        mountFrom === undefined ? [] : [{ registry: registry.host, repository: mountFrom }],
      ]),
    ),
    report: (event) => events.push(event),
    signal: new AbortController().signal,
    beforeTag: () => Promise.resolve(),
  });
  return { uploadedBytes, outcomes: events.flatMap((event) => (event.type === 'blob' ? [event.outcome] : [])) };
}

describe("a real registry, Debian's docker-registry", () => {
  it('takes an image, and gives it back as it was', async () => {
    await using client = newClient();
    const sample = await newImage(1000, 3_000_000, 20);
    const { uploadedBytes } = await push(client, sample, 'acme/app:1');
    const { manifest, configDescriptor, manifestDescriptor } = sample.image;
    const layerBytes = manifest.layers.reduce((sum, { size }) => sum + size, 0);
    expect(uploadedBytes).toBe(layerBytes + configDescriptor.size + manifestDescriptor.size);

    const found = await client.resolve(parseReference(`${registry.host}/acme/app:1`), platform);
    expect(found).toMatchObject({ digest: manifestDescriptor.digest, manifest, standIn: false });
    expect(Buffer.from(found.rawConfig)).toEqual(sample.image.configBytes);
    const source = { registry: registry.host, repository: 'acme/app' };
    for (const layer of manifest.layers) {
      const bytes = await collect(client.fetchBlob(source, layer), LIMIT);
      expect(digestOf(bytes)).toBe(layer.digest);
    }
    const pinned = parseReference(`${registry.host}/acme/app:wrong@${manifestDescriptor.digest}`);
    expect((await client.resolve(pinned, platform)).digest).toBe(manifestDescriptor.digest);
  });

  it('is sent nothing that it has', async () => {
    await using client = newClient();
    const sample = await newImage(100_000, 10);
    await push(client, sample, 'acme/again:1');
    sample.opened.length = 0;
    // One that has not seen what is there.
    await using other = newClient();
    const again = await push(other, sample, 'acme/again:1');
    expect(again).toEqual({ uploadedBytes: 0, outcomes: ['exists', 'exists', 'exists'] });
    expect(sample.opened).toEqual([]);
    // Another tag of the same image is the manifest alone.
    const { uploadedBytes } = await push(client, sample, 'acme/again:2');
    expect(uploadedBytes).toBe(sample.image.manifestDescriptor.size);
  });

  it('mounts layers from another repository', async () => {
    await using client = newClient();
    const sample = await newImage(100_000, 10);
    await push(client, sample, 'acme/base:1');
    sample.opened.length = 0;
    const { outcomes } = await push(client, sample, 'acme/derived:1', 'acme/base');
    expect(outcomes).toEqual(['mounted', 'mounted', 'pushed']);
    expect(sample.opened).toEqual([]);
    const { digest } = await client.resolve(parseReference(`${registry.host}/acme/derived:1`), platform);
    expect(digest).toBe(sample.image.manifestDescriptor.digest);
  });

  it('uploads what the repository to mount from has not got', async () => {
    await using client = newClient();
    const sample = await newImage(5000);
    const { outcomes } = await push(client, sample, 'acme/nomount:1', 'acme/no-such');
    expect(outcomes).toEqual(['pushed', 'pushed']);
  });

  it('moves a layer of 96 MiB up and down as a stream', async () => {
    await using client = newClient();
    const chunk = randomBytes(1024 * 1024);
    const hash = createHash('sha256');
    for (let part = 0; part < 96; part++) hash.update(chunk);
    const digest = `sha256:${hash.digest('hex')}`;
    const descriptor = {
      mediaType: mediaType.ociLayer,
      digest: parseReference(`x@${digest}`).digest ?? digestOf(''),
      size: 96 * chunk.length,
    };
    const repository = { registry: registry.host, repository: 'acme/large' };
    let ahead = 0;
    const open = async function* (): Bytes {
      for (let part = 0; part < 96; part++) {
        ahead++;
        yield chunk;
      }
    };
    expect(await client.pushBlob(repository, descriptor, open)).toBe('pushed');
    expect(ahead).toBe(96);
    expect(await client.headBlob(repository, descriptor.digest)).toBe(descriptor.size);
    let received = 0;
    for await (const part of client.fetchBlob(repository, descriptor)) received += part.length;
    expect(received).toBe(descriptor.size);
  });

  it('refuses a blob that is not what its digest says, and leaves nothing behind', async () => {
    await using client = newClient();
    const repository = { registry: registry.host, repository: 'acme/wrong' };
    const descriptor = { mediaType: mediaType.ociLayer, digest: digestOf('right'), size: 5 };
    await expect(client.pushBlob(repository, descriptor, () => single('wrong'))).rejects.toSatisfy((thrown) =>
      isKilnError(thrown, 'REGISTRY_DENIED', 'REGISTRY_FAILED'),
    );
    expect(await client.headBlob(repository, descriptor.digest)).toBeNull();
  });

  it('names an image that is not there', async () => {
    await using client = newClient();
    const asked = client.resolve(parseReference(`${registry.host}/acme/nothing:1`), platform);
    await expect(asked).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      message: expect.stringContaining('acme/nothing:1') as string,
    });
    expect(await client.headManifest(parseReference(`${registry.host}/acme/nothing:1`))).toBeNull();
  });

  it('does not move a tag for a build that is no longer ours', async () => {
    await using client = newClient();
    const sample = await newImage(10);
    const reference = parseReference(`${registry.host}/acme/fenced:1`);
    const fenced = pushImage({
      client,
      image: sample.image,
      reference,
      openLayer: sample.open,
      report: () => {},
      signal: new AbortController().signal,
      beforeTag: () => Promise.reject(new Error('fenced')),
    });
    await expect(fenced).rejects.toThrow('fenced');
    expect(await client.headManifest(reference)).toBeNull();
  });

  it('serves as a mirror and, unreachable names given, as a stand-in', async () => {
    const sample = await newImage(10_000);
    await using plain = newClient();
    await push(plain, sample, 'library/debian:12-slim');
    const url = `http://${registry.host}`;
    const debian = { ...parseReference('debian:12-slim'), registry: 'registry.invalid' };
    // The mirror is allowed although its address is private; the policy allows nothing else.
    await using mirrored = newClient([{ for: 'registry.invalid', url, mode: 'mirror' }], { allow: [] });
    const first = await mirrored.resolve(debian, platform);
    expect(first).toMatchObject({ digest: sample.image.manifestDescriptor.digest, standIn: false });
    await using stood = newClient([{ for: '*', url, mode: 'stand-in' }], { allow: [] });
    const second = await stood.resolve(debian, platform);
    expect(second).toMatchObject({ digest: sample.image.manifestDescriptor.digest, standIn: true });
    const [layer] = second.manifest.layers;
    if (layer === undefined) throw new Error('no layer');
    const source = { registry: 'registry.invalid', repository: 'library/debian' };
    expect(digestOf(await collect(stood.fetchBlob({ ...source, standIn: true }, layer), LIMIT))).toBe(layer.digest);
  });
});

describe('an OCI layout', () => {
  it('is taken by skopeo and umoci', async () => {
    const sample = await newImage(2_000_000, 10);
    const archive = join(directory, 'image.tar');
    const layout = writeOciLayout({ image: sample.image, names: ['acme/app:1.2'], openLayer: sample.open });
    await pipeline(Readable.from(layout), createWriteStream(archive));

    const { stdout } = await run('skopeo', ['inspect', '--raw', `oci-archive:${archive}`]);
    expect(digestOf(stdout)).toBe(sample.image.manifestDescriptor.digest);
    const to = `docker://${registry.host}/acme/copied:1`;
    await run('skopeo', ['copy', '--insecure-policy', '--dest-tls-verify=false', `oci-archive:${archive}:1.2`, to]);
    await using client = newClient();
    const copied = await client.resolve(parseReference(`${registry.host}/acme/copied:1`), platform);
    expect(copied.digest).toBe(sample.image.manifestDescriptor.digest);

    const untarred = join(directory, 'layout');
    await mkdir(untarred);
    await run('tar', ['-xf', archive, '-C', untarred]);
    const bundle = join(directory, 'bundle');
    await run('umoci', ['unpack', '--rootless', '--image', `${untarred}:1.2`, bundle]);
    expect((await readFile(join(bundle, 'rootfs/file0'))).length).toBe(2_000_000);
    const { stdout: stat } = await run('umoci', ['stat', '--image', `${untarred}:1.2`, '--json']);
    expect(JSON.parse(stat)).toMatchObject({
      history: [{ created_by: 'COPY file0 /' }, { created_by: 'COPY file1 /' }],
    });
  });
});

describe('what other tools push', () => {
  it('is read, in Docker format too', async () => {
    const sample = await newImage(1000);
    const archive = join(directory, 'other.tar');
    const layout = writeOciLayout({ image: sample.image, names: [], openLayer: sample.open });
    await pipeline(Readable.from(layout), createWriteStream(archive));
    const to = `docker://${registry.host}/acme/docker:1`;
    const flags = ['--insecure-policy', '--dest-tls-verify=false', '--format', 'v2s2'];
    await run('skopeo', ['copy', ...flags, `oci-archive:${archive}`, to]);
    await using client = newClient();
    const found = await client.resolve(parseReference(`${registry.host}/acme/docker:1`), platform);
    expect(found.descriptor.mediaType).toBe(mediaType.dockerManifest);
    expect(found.manifest.layers[0]?.mediaType).toBe(mediaType.dockerLayerGzip);
    expect(found.config.rootfs.diff_ids).toHaveLength(1);
  });
});

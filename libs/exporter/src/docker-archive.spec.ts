import { Readable } from 'node:stream';
import { digestOf, type Layer, mediaType } from '#oci';
import { collect, single } from '#std';
import { extract } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { assembleImage } from './assemble-image.ts';
import { assembleIndex } from './assemble-index.ts';
import { writeDockerArchive } from './docker-archive.ts';

const bytes = Buffer.from('files');
const layer: Layer = {
  descriptor: { mediaType: mediaType.ociLayer, digest: digestOf(bytes), size: bytes.length },
  diffId: digestOf(bytes),
};
const imageFor = (architecture: string) =>
  assembleImage({
    platform: { os: 'linux', architecture },
    config: {},
    history: [{ createdBy: 'COPY . .', emptyLayer: false }],
    layers: [layer],
    createdAt: '2026-01-02T03:04:05Z',
  });
const image = imageFor('amd64');
const options = { image, names: ['docker.io/acme/app:1', '127.0.0.1:5000/acme/app:2'], openLayer: () => single(bytes) };
const hex = (digest: string) => digest.slice('sha256:'.length);

async function files(source: AsyncIterable<Uint8Array>): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for await (const entry of Readable.from(source).pipe(extract())) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry) if (chunk instanceof Uint8Array) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    found.set(entry.header.name, text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text);
  }
  return found;
}

describe('an archive for docker load', () => {
  it('is a layout with what docker save writes beside it', async () => {
    const found = await files(writeDockerArchive(options));
    expect(found.get('manifest.json')).toEqual([
      {
        Config: `blobs/sha256/${hex(image.configDescriptor.digest)}`,
        RepoTags: ['acme/app:1', '127.0.0.1:5000/acme/app:2'],
        Layers: [`blobs/sha256/${hex(layer.descriptor.digest)}`],
      },
    ]);
    const last = hex(layer.descriptor.digest);
    expect(found.get('repositories')).toEqual({ 'acme/app': { 1: last }, '127.0.0.1:5000/acme/app': { 2: last } });
    expect(found.get('index.json')).toMatchObject({ manifests: [{ digest: image.manifestDescriptor.digest }, {}] });
    expect(found.get(`blobs/sha256/${last}`)).toBe('files');
  });

  it('is the same each time, and needs no name', async () => {
    const once = async () => digestOf(await collect(writeDockerArchive(options), 1024 * 1024));
    expect(await once()).toBe(await once());
    const bare = await files(writeDockerArchive({ ...options, names: [] }));
    expect(bare.get('manifest.json')).toMatchObject([{ RepoTags: null }]);
    expect(bare.has('repositories')).toBe(false);
  });

  it('holds one platform', async () => {
    const several = assembleIndex({ images: [image, imageFor('arm64')] });
    const written = collect(writeDockerArchive({ ...options, image: several }), 1024 * 1024);
    await expect(written).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const alone = await files(writeDockerArchive({ ...options, image: assembleIndex({ images: [image] }) }));
    expect(alone.get('index.json')).toMatchObject({ manifests: [{ mediaType: mediaType.ociManifest }, {}] });
  });
});

import { Readable } from 'node:stream';
import { digestOf, type Layer, mediaType } from '#oci';
import { collect, KilnError, single } from '#std';
import { extract } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { assembleImage } from './assemble-image.ts';
import { assembleIndex } from './assemble-index.ts';
import { writeOciLayout } from './oci-layout.ts';

const LIMIT = 64 * 1024 * 1024;
const bytes = Buffer.alloc(3 * 1024 * 1024, 7);
const layer: Layer = {
  descriptor: { mediaType: mediaType.ociLayer, digest: digestOf(bytes), size: bytes.length },
  diffId: digestOf(bytes),
};
const image = assembleImage({
  platform: { os: 'linux', architecture: 'amd64' },
  config: {},
  history: [{ createdBy: 'COPY . .', emptyLayer: false }],
  layers: [layer],
  createdAt: '2026-01-02T03:04:05Z',
});

async function files(source: AsyncIterable<Uint8Array>): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for await (const entry of Readable.from(source).pipe(extract())) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry) if (chunk instanceof Uint8Array) chunks.push(chunk);
    found.set(entry.header.name, Buffer.concat(chunks));
  }
  return found;
}

describe('an OCI layout', () => {
  it('has the blobs under their digests and the names in its index', async () => {
    const found = await files(
      writeOciLayout({ image, names: ['acme/app:1', '127.0.0.1:5000/acme/app:2'], openLayer: () => single(bytes) }),
    );
    expect(found.get('oci-layout')?.toString()).toBe('{"imageLayoutVersion":"1.0.0"}');
    for (const [name, content] of found) {
      if (/sha256\/./.test(name)) expect(`blobs/sha256/${digestOf(content).slice(7)}`).toBe(name);
    }
    expect([...found.keys()].filter((name) => /sha256\/./.test(name))).toHaveLength(3);
    expect(JSON.parse(String(found.get('index.json')))).toMatchObject({
      schemaVersion: 2,
      manifests: [
        {
          digest: image.manifestDescriptor.digest,
          annotations: {
            'io.containerd.image.name': 'docker.io/acme/app:1',
            'org.opencontainers.image.ref.name': '1',
          },
        },
        { annotations: { 'io.containerd.image.name': '127.0.0.1:5000/acme/app:2' } },
      ],
    });
  });

  it('has an index over platforms, and what they share once', async () => {
    const other = assembleImage({
      platform: { os: 'linux', architecture: 'arm64' },
      config: {},
      history: [{ createdBy: 'COPY . .', emptyLayer: false }],
      layers: [layer],
      createdAt: '2026-01-02T03:04:05Z',
    });
    const index = assembleIndex({ images: [image, other] });
    const found = await files(writeOciLayout({ image: index, names: ['acme/app:1'], openLayer: () => single(bytes) }));
    expect([...found.keys()].filter((name) => /sha256\/./.test(name))).toHaveLength(1 + 2 + 2 + 1);
    expect(JSON.parse(String(found.get('index.json')))).toMatchObject({ manifests: [index.indexDescriptor] });
    expect(found.get(`blobs/sha256/${index.indexDescriptor.digest.slice(7)}`)).toEqual(index.indexBytes);
  });

  it('is the same each time', async () => {
    const once = () => collect(writeOciLayout({ image, names: ['a:1'], openLayer: () => single(bytes) }), LIMIT);
    expect(digestOf(await once())).toBe(digestOf(await once()));
  });

  it('fails with what the layer failed with', async () => {
    const broken = new KilnError('BLOB_MISSING', 'gone');
    const layout = writeOciLayout({
      image,
      names: [],
      openLayer: async function* () {
        yield bytes.subarray(0, 10);
        throw broken;
      },
    });
    await expect(collect(layout, LIMIT)).rejects.toBe(broken);
  });

  it('fails when a layer is shorter than it says', async () => {
    const layout = writeOciLayout({ image, names: [], openLayer: () => single(bytes.subarray(1)) });
    await expect(collect(layout, LIMIT)).rejects.toThrow();
  });

  it('closes the layer when the reader leaves, and reads no further than asked', async () => {
    let read = 0;
    let closed = false;
    const huge = { ...layer.descriptor, size: 1024 * bytes.length };
    const layout = writeOciLayout({
      image: { ...image, manifest: { ...image.manifest, layers: [huge] } },
      names: [],
      openLayer: async function* () {
        try {
          for (let part = 0; part < 1024; part++) {
            read++;
            yield bytes;
          }
        } finally {
          closed = true;
        }
      },
    });
    let seen = 0;
    for await (const chunk of layout) {
      seen += chunk.byteLength;
      if (seen > bytes.length) break;
    }
    expect(closed).toBe(true);
    expect(read).toBeLessThan(8);
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    const layout = writeOciLayout({
      image,
      names: [],
      openLayer: async function* () {
        yield bytes.subarray(0, 10);
        stop.abort(new Error('enough'));
        await new Promise((resolve) => setTimeout(resolve, 20));
        yield bytes.subarray(10);
      },
      signal: stop.signal,
    });
    await expect(collect(layout, LIMIT)).rejects.toThrow('enough');
  });
});

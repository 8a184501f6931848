import { digestOf, type Layer, mediaType } from '#oci';
import { KilnError, single } from '#std';
import { RegistryFixture } from '#testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assembleImage } from './assemble-image.ts';
import { pushImage, type PushOptions } from './push-image.ts';

const contents = Array.from({ length: 8 }, (_, index) => Buffer.from(`layer ${index % 7}`));
const layers = contents.map((bytes): Layer => {
  const digest = digestOf(bytes);
  return { descriptor: { mediaType: mediaType.ociLayer, digest, size: bytes.length }, diffId: digest };
});
const image = assembleImage({
  platform: { os: 'linux', architecture: 'amd64' },
  config: {},
  history: contents.map((_, index) => ({ createdBy: `RUN ${index}`, emptyLayer: false })),
  layers,
  createdAt: '2026-01-02T03:04:05Z',
});

let fixture: RegistryFixture;
beforeEach(async () => {
  fixture = await RegistryFixture.start();
});
afterEach(() => fixture[Symbol.asyncDispose]());

const options = (): PushOptions => ({
  client: fixture.client(),
  image,
  reference: fixture.image,
  openLayer: ({ digest }) => single(contents.find((bytes) => digestOf(bytes) === digest) ?? ''),
  report: () => {},
  signal: new AbortController().signal,
  beforeTag: () => Promise.resolve(),
});

describe('pushImage', () => {
  it('puts each blob once, then the manifest; at most four at a time', async () => {
    let open = 0;
    let most = 0;
    const { uploadedBytes } = await pushImage({
      ...options(),
      openLayer: async function* (layer) {
        most = Math.max(most, ++open);
        await new Promise((resolve) => setTimeout(resolve, 10));
        yield* options().openLayer(layer);
        open--;
      },
    });
    expect(most).toBe(4);
    const puts = fixture.server.requests.filter(({ method }) => method === 'PUT').map(({ path }) => path);
    expect(puts).toHaveLength(7 + 1 + 1);
    expect(puts.at(-1)).toBe('/v2/acme/app/manifests/1');
    const blobs = new Map(layers.map(({ descriptor }) => [descriptor.digest, descriptor.size]));
    const expected = [...blobs.values(), image.configDescriptor.size, image.manifestDescriptor.size];
    expect(uploadedBytes).toBe(expected.reduce((sum, size) => sum + size, 0));
    expect(fixture.server.manifests.get('acme/app:1')?.bytes).toEqual(image.manifestBytes);
  });

  it.each([false, true])(
    'asks for each blob and puts the manifest of an image that is there (tokens: %s)',
    async (tokens) => {
      const { server } = fixture;
      await pushImage(options());
      if (tokens) server.auth = { kind: 'bearer' };
      server.requests.length = 0;
      const { uploadedBytes } = await pushImage({ ...options(), reference: { ...fixture.image, tag: '2' } });
      expect(uploadedBytes).toBe(image.manifestDescriptor.size);
      const asked = server.requests.filter(({ path }) => !path.startsWith('/token'));
      expect(new Set(asked.map(({ method }) => method))).toEqual(new Set(['HEAD', 'PUT']));
      expect(asked.filter(({ method }) => method === 'PUT').map(({ path }) => path)).toEqual([
        '/v2/acme/app/manifests/2',
      ]);
      // The first ones may all be challenged: they go out together.
      expect(server.requests.length - asked.length).toBe(tokens ? 1 : 0);
    },
  );

  it('fails with what the first layer failed with, and stops the others', async () => {
    const gone = new KilnError('BLOB_MISSING', 'gone');
    let opened = 0;
    let closed = 0;
    const pushed = pushImage({
      ...options(),
      openLayer: async function* (layer) {
        if (layer.digest === layers[0]?.descriptor.digest) throw gone;
        opened++;
        try {
          yield Buffer.alloc(1);
          await new Promise((resolve) => setTimeout(resolve, 50));
          yield Buffer.alloc(layer.size - 1);
        } finally {
          closed++;
        }
      },
    });
    await expect(pushed).rejects.toBe(gone);
    expect(opened).toBeLessThanOrEqual(3);
    await expect.poll(() => closed).toBe(opened);
    expect(fixture.server.manifests.size).toBe(0);
  });

  it('asks whether it still may, when all but the tag is done', async () => {
    const seen: string[] = [];
    const fenced = pushImage({
      ...options(),
      beforeTag: () => {
        seen.push(...fixture.server.blobs.keys());
        return Promise.reject(new KilnError('FENCED', 'not ours'));
      },
    });
    await expect(fenced).rejects.toMatchObject({ code: 'FENCED' });
    expect(seen).toHaveLength(8);
    expect(fixture.server.manifests.size).toBe(0);
  });

  it('mounts only from the same registry, and not from the repository itself', async () => {
    const [first, second] = layers;
    if (first === undefined || second === undefined) throw new Error('no layers');
    const registry = fixture.server.host;
    await pushImage({
      ...options(),
      mountCandidates: new Map([
        [
          first.descriptor.digest,
          [
            { registry: 'docker.io', repository: 'library/debian' },
            { registry, repository: 'acme/app' },
            { registry, repository: 'acme/base' },
          ],
        ],
        [second.descriptor.digest, [{ registry: 'docker.io', repository: 'library/debian' }]],
      ]),
    });
    const mounts = fixture.server.requests.flatMap(({ path }) => /from=([^&]+)/.exec(path)?.[1] ?? []);
    expect(mounts).toEqual([encodeURIComponent('acme/base')]);
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    const pushed = pushImage({
      ...options(),
      signal: stop.signal,
      openLayer: async function* (layer) {
        yield Buffer.alloc(layer.size - 1);
        stop.abort(new Error('enough'));
        await new Promise((resolve) => setTimeout(resolve, 20));
        yield Buffer.alloc(1);
      },
    });
    await expect(pushed).rejects.toThrow('enough');
  });
});

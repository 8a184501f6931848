import { IndexSchema, ManifestSchema } from '#oci';
import { propertyRuns } from '#testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUILDKIT_LIMIT_BYTES, parseBuildKitConfig } from './buildkit-config.ts';
import { type CacheEntry, decodeDocument, makeDocument } from './cache-document.ts';
import { cacheManifest, type CacheForm, listedCache } from './cache-manifest.ts';
import { entry, graphs } from './entries.fixture.ts';
import { inlineCache, readInlineCache } from './inline-cache.ts';

const oci: CacheForm = { dialect: 'oci', imageManifest: true };
const forms: readonly CacheForm[] = [
  oci,
  { ...oci, imageManifest: false },
  { dialect: 'docker', imageManifest: false },
];

describe('a cache manifest', () => {
  it('keeps the rules of BuildKit’s reader, and gives Kiln its document', () => {
    fc.assert(
      fc.property(graphs, fc.constantFrom(...forms), (entries, form) => {
        const { manifest, documents, blobs } = cacheManifest(makeDocument(entries), form);
        const json: unknown = JSON.parse(manifest.bytes.toString());
        const listed = listedCache(form.imageManifest ? ManifestSchema.parse(json) : IndexSchema.parse(json));
        const bytesOf = (digest: string | undefined) =>
          documents.find(({ descriptor }) => descriptor.digest === digest)?.bytes ?? Buffer.alloc(0);
        expect(decodeDocument(bytesOf(listed.document?.digest))).toEqual(makeDocument(entries));
        const config = parseBuildKitConfig(bytesOf(listed.config?.digest));
        expect(config.records).toHaveLength(entries.length * 2);
        for (const { blob } of config.layers) expect(listed.blobs.has(blob)).toBe(true);
        for (const { digest } of blobs) expect(listed.blobs.has(digest)).toBe(true);
        // A record's layers, from the topmost down, are those of its result.
        for (const [at, record] of config.records.entries()) {
          const chain: string[] = [];
          for (let layer = record.layers[0]?.layer ?? -1; layer !== -1; layer = config.layers[layer]?.parent ?? -1)
            chain.unshift(config.layers[layer]?.blob ?? '');
          expect(chain).toEqual(entries[Math.floor(at / 2)]?.result.layers.map(({ descriptor }) => descriptor.digest));
        }
      }),
      propertyRuns(50),
    );
  });

  it('names layers as its dialect does, with what unpacking them needs', () => {
    const [, , docker = oci] = forms;
    const { manifest } = cacheManifest(makeDocument([entry('a')]), docker);
    expect(JSON.parse(manifest.bytes.toString())).toMatchObject({
      mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json',
      manifests: [
        {
          mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
          annotations: {
            'buildkit/createdat': '2026-01-02T03:04:05.000Z',
            'containerd.io/uncompressed': entry('a').result.layers[0]?.diffId,
          },
        },
        { mediaType: 'application/vnd.kiln.delta.v1' },
        { mediaType: 'application/vnd.kiln.cache.v1+json' },
        { mediaType: 'application/vnd.buildkit.cacheconfig.v0' },
      ],
    });
  });

  it('never gives BuildKit more than it reads', () => {
    const many = Array.from({ length: 1500 }, (_, at): CacheEntry => {
      const { result, keys } = entry('one');
      const some = Array.from({ length: 16 }, (__, which) => ({ ...entry(`${at} ${which}`).keys[0], platform: '' }));
      return { result: { ...result, id: entry(`${at}`).result.id }, keys: some.length > 0 ? (some as never) : keys };
    });
    const { documents } = cacheManifest(makeDocument(many), oci);
    const [config] = documents;
    expect(config?.bytes.byteLength).toBeLessThanOrEqual(BUILDKIT_LIMIT_BYTES);
    expect(parseBuildKitConfig(config?.bytes ?? Buffer.alloc(0)).records.length).toBeGreaterThan(1000);
    const layers = Array.from({ length: 4000 }, (_, at) => entry(`layer ${at}`));
    expect(() => cacheManifest(makeDocument(layers), oci)).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }) as Error,
    );
  });
});

describe('BuildKit’s rules', () => {
  const layer = entry('a').result.layers[0]?.descriptor.digest;
  it('are kept by what BuildKit writes', () => {
    const written = {
      layers: [{ blob: layer, parent: -1 }, { blob: layer }],
      records: [
        { digest: 'sha256:1' },
        {
          digest: 'random:2',
          layers: [{ layer: 1, createdAt: '2026-01-02T03:04:05.123456789Z' }],
          inputs: [[{ selector: 's', link: 0 }]],
        },
        {
          digest: 'sha256:3',
          chains: [{ layers: [1, 0], createdAt: '0001-01-01T00:00:00Z' }],
          inputs: [[{ link: 1 }, {}]],
        },
      ],
    };
    expect(parseBuildKitConfig(Buffer.from(JSON.stringify(written))).records).toHaveLength(3);
    expect(parseBuildKitConfig(Buffer.from('{"layers":null,"records":null}'))).toEqual({ layers: [], records: [] });
  });

  it.each([
    ['a parent that is not there', { layers: [{ blob: layer, parent: 1 }] }],
    [
      'layers in a loop',
      {
        layers: [
          { blob: layer, parent: 1 },
          { blob: layer, parent: 0 },
        ],
      },
    ],
    ['a record of no layer', { records: [{ digest: 'a', layers: [{ layer: 0 }] }] }],
    ['a chain of no layer', { records: [{ digest: 'a', chains: [{ layers: [-1] }] }] }],
    ['an input without a link', { records: [{ digest: 'a', inputs: [[]] }] }],
    ['a link to nothing', { records: [{ digest: 'a', inputs: [[{ link: 1 }]] }] }],
    [
      'records in a loop',
      {
        records: [
          { digest: 'a', inputs: [[{ link: 1 }]] },
          { digest: 'b', inputs: [[{ link: 0 }]] },
        ],
      },
    ],
    ['no digest of a blob', { layers: [{ blob: 'x', parent: -1 }] }],
  ])('refuse %s', (_, config) => {
    expect(() => parseBuildKitConfig(Buffer.from(JSON.stringify(config)))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
  });

  it('take no more than a mebibyte', () => {
    expect(() => parseBuildKitConfig(Buffer.alloc(BUILDKIT_LIMIT_BYTES + 1, ' '))).toThrow(/longer than/);
  });
});

describe('a cache in an image', () => {
  const base = entry('base');
  const run = entry('run', base);
  const beside = entry('beside');
  const linked = { ...beside, result: { ...entry('linked').result, layers: beside.result.layers } };

  it('has the results that the image consists of, by their places in it', () => {
    const layers = [...run.result.layers, ...beside.result.layers];
    const cache = inlineCache([base, run, linked, entry('of another stage')], layers);
    expect(cache?.results).toBe(3);
    const members = cache?.members ?? {};
    const records: unknown = JSON.parse(Buffer.from(members['moby.buildkit.cache.v0'] ?? '', 'base64').toString());
    expect(records).toMatchObject([
      { layers: [{ layer: 0 }] },
      { layers: [{ layer: 1 }] },
      { chains: [{ layers: [2] }] },
    ]);
    const document = readInlineCache(Buffer.from(JSON.stringify({ architecture: 'amd64', ...members })));
    expect(document).toEqual(
      makeDocument(
        [base, run, linked].map((each) => ({ ...each, keys: each.keys.slice(0, 1) })),
        { producers: false },
      ),
    );
  });

  it('is not there when nothing of the image is of a step', () => {
    expect(inlineCache([run], base.result.layers)).toBeUndefined();
    expect(readInlineCache(Buffer.from('{}'))).toBeUndefined();
    expect(readInlineCache(Buffer.from('{"moby.buildkit.cache.v0":null}'))).toBeUndefined();
    expect(readInlineCache(Buffer.from('{"moby.buildkit.cache.v0":"W10="}'))).toBe('buildkit');
    expect(() => readInlineCache(Buffer.from('{"kiln.cache.v1":"e30="}'))).toThrow(/not a cache of Kiln/);
    expect(() => readInlineCache(Buffer.from('{"kiln.cache.v1":7}'))).toThrow(/not a cache in an image/);
  });
});

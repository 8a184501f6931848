import { gzipSync } from 'node:zlib';
import { type Digest, digestOf, type Layer, mediaType } from '#oci';
import { collect, single } from '#std';
import { MemoryContentStore } from '#testing';
import { describe, expect, it } from 'vitest';
import { conversionOf, LayerVariants } from './layer-variants.ts';

const tar = Buffer.alloc(2048, 1);
const blob = gzipSync(tar);
const layer: Layer = {
  descriptor: { mediaType: mediaType.ociLayerGzip, digest: digestOf(blob), size: blob.length },
  diffId: digestOf(tar),
};
const signal = new AbortController().signal;

function variants(content: MemoryContentStore, known: Map<Digest, Layer>) {
  const granted: Digest[] = [];
  let converted = 0;
  const made = new LayerVariants({
    content,
    index: {
      findVariants: (keys) => Promise.resolve(new Map([...known].filter(([key]) => keys.includes(key)))),
      saveVariant: (key, variant) => Promise.resolve(void known.set(key, variant)),
    },
    grants: { grant: (blobs) => Promise.resolve(void granted.push(...blobs.map(({ digest }) => digest))) },
    open: () => single(blob),
    onConvert: () => {
      converted++;
      return { onBytes: () => {}, done: () => {} };
    },
    signal,
  });
  return { made, granted, converted: () => converted };
}

describe('layer variants', () => {
  it('are made once, granted, and found again while their blobs are there', async () => {
    const content = new MemoryContentStore();
    const known = new Map<Digest, Layer>();
    const first = variants(content, known);
    const [one, same] = await Promise.all([
      first.made.convert(layer, { compression: 'zstd' }),
      first.made.convert(layer, { compression: 'zstd' }),
    ]);
    expect(same).toBe(one);
    expect(one.descriptor.mediaType).toBe(mediaType.ociLayerZstd);
    expect(first.granted).toEqual([one.descriptor.digest]);
    const other = await first.made.convert(layer, { compression: 'zstd', level: 19 });
    expect([first.converted(), known.size, other.diffId]).toEqual([2, 2, layer.diffId]);

    const second = variants(content, known);
    expect(await second.made.convert(layer, { compression: 'zstd' })).toEqual(one);
    expect(second.converted()).toBe(0);

    await content.remove(new Set([one.descriptor.digest]));
    const third = variants(content, known);
    await third.made.convert(layer, { compression: 'zstd' });
    expect(third.converted()).toBe(1);
    expect((await collect(content.get(one.descriptor.digest), 4096)).length).toBe(one.descriptor.size);
  });

  it('are needed only where a layer is not as wanted', () => {
    const wanted = { compression: undefined, level: undefined, force: false, epoch: undefined };
    expect(conversionOf(layer, false, wanted)).toBeUndefined();
    expect(conversionOf(layer, false, { ...wanted, compression: 'gzip' })).toBeUndefined();
    expect(conversionOf(layer, false, { ...wanted, compression: 'zstd' })).toEqual({ compression: 'zstd' });
    expect(conversionOf(layer, false, { ...wanted, level: 9 })).toEqual({ compression: 'gzip', level: 9 });
    expect(conversionOf(layer, false, { ...wanted, epoch: 7 })).toEqual({ compression: 'gzip', epoch: 7 });
    expect(conversionOf(layer, true, { ...wanted, compression: 'zstd', level: 9, epoch: 7 })).toBeUndefined();
    expect(conversionOf(layer, true, { ...wanted, compression: 'none', level: 9, force: true })).toEqual({
      compression: 'none',
    });
  });
});

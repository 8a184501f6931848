import { setTimeout } from 'node:timers/promises';
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import { digestOf, mediaType } from '#oci';
import { type Bytes, collect, KilnError, single } from '#std';
import { encodeHeader, endOfTar, readTar } from '#tar';
import { MemoryContentStore } from '#testing';
import { describe, expect, it } from 'vitest';
import { convertLayer, type LayerConversion } from './convert-layer.ts';

const entry = (name: string, mtime: number): Buffer =>
  encodeHeader({ name: Buffer.from(name), type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, mtime });
const tar = Buffer.concat([entry('old', 5), entry('new', 1_700_000_000), endOfTar]);
const signal = new AbortController().signal;

async function convert(conversion: LayerConversion, source: Bytes = single(tar)) {
  const content = new MemoryContentStore();
  const layer = await convertLayer({ ...conversion, tar: source, content, signal });
  return { layer, bytes: await collect(content.get(layer.descriptor.digest), 1024 * 1024) };
}

describe('convertLayer', () => {
  it('compresses as asked, with the tar as it was', async () => {
    const gzip = await convert({ compression: 'gzip', level: 9 });
    const zstd = await convert({ compression: 'zstd' });
    const plain = await convert({ compression: 'none' });
    expect([gzip, zstd, plain].map(({ layer }) => layer.descriptor.mediaType)).toEqual([
      mediaType.ociLayerGzip,
      mediaType.ociLayerZstd,
      mediaType.ociLayer,
    ]);
    expect([gunzipSync(gzip.bytes), zstdDecompressSync(zstd.bytes), plain.bytes]).toEqual([tar, tar, tar]);
    for (const { layer, bytes } of [gzip, zstd, plain]) {
      expect(layer.diffId).toBe(digestOf(tar));
      expect(layer.descriptor).toMatchObject({ digest: digestOf(bytes), size: bytes.length });
    }
    expect(gzip.bytes).toEqual(gzipSync(tar, { level: 9 }));
    expect((await convert({ compression: 'zstd' })).layer).toEqual(zstd.layer);
  });

  it.each(['gzip', 'zstd'] as const)('gives the same by %s, however the tar comes', async (compression) => {
    const pieces = async function* (pauseMs: number): Bytes {
      for (let at = 0; at < tar.length; at += 512) {
        if (pauseMs > 0) await setTimeout(pauseMs);
        yield tar.subarray(at, at + 512);
      }
      if (pauseMs > 0) await setTimeout(pauseMs);
    };
    const { bytes } = await convert({ compression });
    for (const source of [pieces(0), pieces(5)]) expect((await convert({ compression }, source)).bytes).toEqual(bytes);
  });

  it('takes later times back, and leaves earlier ones', async () => {
    const { layer, bytes } = await convert({ compression: 'none', epoch: 1_500_000_000 });
    const times: number[] = [];
    for await (const { header } of readTar(single(bytes))) times.push(header.mtime);
    expect(times).toEqual([5, 1_500_000_000]);
    expect(layer.diffId).toBe(digestOf(bytes));
  });

  it('fails with what the tar fails with, and stores nothing', async () => {
    const content = new MemoryContentStore();
    const broken = async function* (): AsyncIterable<Uint8Array> {
      yield tar.subarray(0, 512);
      throw new KilnError('BLOB_CORRUPT', 'not the one');
    };
    for (const compression of ['gzip', 'zstd', 'none'] as const) {
      const converted = convertLayer({ compression, tar: broken(), content, signal });
      await expect(converted).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    }
    for await (const blob of content.list()) throw new Error(`stored ${blob.digest}`);
  });
});

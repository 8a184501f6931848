import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tarOf } from '#testing';
import { type Bytes, KilnError } from '#std';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { isArchive } from './archive.ts';
import { decompress } from './decompress.ts';

const signal = new AbortController().signal;

/** The bytes in pieces of a size. */
async function* pieces(bytes: Buffer, size = 7): Bytes {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function plain(bytes: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of decompress(bytes, signal)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** `text`, by xz. */
const xzOfText = Buffer.from(
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQADdGV4dABVzegz/0oMFwABHARvLJzBH7bzfQEAAAAABFla',
  'base64',
);

const file = (bytes: Buffer) => ({ name: 'file', open: () => pieces(bytes) });

describe('decompress', () => {
  it('gives the bytes behind gzip and zstd, and others as they are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.integer({ min: 1, max: 100 }), async (array, size) => {
        const bytes = Buffer.from(array);
        for (const pack of [gzipSync, zstdCompressSync]) expect(await plain(pieces(pack(bytes), size))).toEqual(bytes);
        const text = Buffer.concat([Buffer.from('-'), bytes]);
        expect(await plain(pieces(text, size))).toEqual(text);
      }),
    );
  });

  it.each([
    ['damaged', (packed: Buffer) => Buffer.concat([packed.subarray(0, 20), Buffer.alloc(20)])],
    ['cut off', (packed: Buffer) => packed.subarray(0, -10)],
  ])('refuses what is %s', async (_, change) => {
    const packed = gzipSync(Buffer.from(Array.from({ length: 500 }, (_, at) => at % 251)));
    await expect(plain(pieces(change(packed)))).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
  });

  it('starts programs that know nothing of the builder’s environment', async () => {
    vi.stubEnv('XZ_OPT', '--no-such-option');
    try {
      expect(await plain(pieces(xzOfText))).toEqual(Buffer.from('text'));
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('is not to blame for its source', async () => {
    const source = async function* (): Bytes {
      yield gzipSync('text').subarray(0, 12);
      await Promise.reject(new KilnError('BLOB_MISSING', 'gone'));
    };
    await expect(plain(source())).rejects.toMatchObject({ code: 'BLOB_MISSING' });
  });
});

describe('isArchive', () => {
  it('goes by the first header', async () => {
    const tar = await tarOf({ name: 'a', text: 'text' });
    for (const bytes of [tar, gzipSync(tar), zstdCompressSync(tar), tar.subarray(0, 600)]) {
      expect(await isArchive(file(bytes), signal)).toBe(true);
    }
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(1024), Buffer.from('text'), gzipSync('text'), tar.subarray(1)]) {
      expect(await isArchive(file(bytes), signal)).toBe(false);
    }
  });

  it('does not take a damaged blob for a file that is no archive', async () => {
    const open = async function* (): Bytes {
      yield gzipSync('text').subarray(0, 12);
      await Promise.reject(new KilnError('BLOB_CORRUPT', 'damaged on disk'));
    };
    await expect(isArchive({ name: 'a.tar', open }, signal)).rejects.toThrow('damaged on disk');
  });
});

import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { digestOf } from '#oci';
import { type Bytes, KilnError, single } from '#std';
import { MemoryContentStore, TAR_MTIME, tarOf } from '#testing';
import { pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { type ContextLimits, type IngestedContext, ingestTar } from './ingest-tar.ts';

const limits: ContextLimits = { maxFiles: 1000, maxBytes: 64 * 1024 * 1024, maxPathBytes: 4096 };
const ingest = (
  bytes: Buffer,
  store = new MemoryContentStore(),
  some: Partial<ContextLimits> = {},
): Promise<IngestedContext> => ingestTar(single(bytes), store, { ...limits, ...some });
const refused = (code: string, text: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(text) as unknown });

const small = tarOf(
  { name: './', type: 'directory', mode: 0o700 },
  { name: './b.txt', text: 'b', uid: 1000, gid: 1000 },
  { name: './a/', type: 'directory', mode: 0o755 },
  { name: './a/run', text: '#!', mode: 0o4755 },
  { name: './link', type: 'symlink', linkname: '../../etc/passwd' },
  { name: './pipe', type: 'fifo' },
);
const at = new Date(TAR_MTIME * 1000);

describe('ingestTar, when things go wrong', () => {
  it('takes one without an end where that may be, and still none that is cut off in a file', async () => {
    const text = 'x'.repeat(1000);
    const bytes = await tarOf({ name: 'a', text: 'a' }, { name: 'b', text });
    // 'a' with its padding, then the header and the content of 'b'.
    const whole = 1024 + 512 + 1000;
    const { manifest } = await ingest(bytes);
    const ends = [...Array.from({ length: 25 }, (_, n) => whole + n), whole + 24 + 512, bytes.length];
    for (const length of ends)
      expect((await ingest(bytes.subarray(0, length), undefined, { mayLackEnd: true })).manifest).toEqual(manifest);
    for (const length of [1, 512, 1025, 1024 + 511, 1024 + 512, whole - 512, whole - 480, whole - 1])
      await expect(
        ingest(bytes.subarray(0, length), undefined, { mayLackEnd: true }),
        `cut at ${length}`,
      ).rejects.toThrow(refused('CONTEXT_INVALID', ''));
  });

  it('refuses an archive that is cut off anywhere', async () => {
    const bytes = await small;
    const end = bytes.length - 1024;
    for (let length = 0; length <= end; length += 128) {
      await expect(ingest(bytes.subarray(0, length)), `cut at ${length}`).rejects.toThrow(
        refused('CONTEXT_INVALID', ''),
      );
    }
    for (const packed of [gzipSync(bytes), zstdCompressSync(bytes)]) {
      for (let length = 0; length < packed.length; length += 16) {
        await expect(ingest(packed.subarray(0, length)), `cut at ${length}`).rejects.toThrow(
          refused('CONTEXT_INVALID', ''),
        );
      }
    }
  });

  it('refuses what is no archive, and archives with damage', async () => {
    await expect(ingest(Buffer.alloc(4096, 'no tar '))).rejects.toThrow(refused('CONTEXT_INVALID', 'tar'));
    const bytes = await small;
    const damaged = Buffer.from(bytes);
    damaged[520] = (damaged[520] ?? 0) ^ 0xff;
    await expect(ingest(damaged)).rejects.toThrow(refused('CONTEXT_INVALID', 'tar'));
    const packed = gzipSync(bytes);
    packed[packed.length - 8] = (packed[packed.length - 8] ?? 0) ^ 0xff;
    await expect(ingest(packed)).rejects.toThrow(refused('CONTEXT_INVALID', 'gzip'));
  });

  it('has limits, and says how to get below them', async () => {
    const two = await tarOf({ name: 'a', text: 'x'.repeat(5000) }, { name: 'b', text: '' });
    await expect(ingest(two, undefined, { maxFiles: 1 })).rejects.toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED', hint: expect.stringContaining('.dockerignore') as unknown }),
    );
    await expect(ingest(two, undefined, { maxBytes: 4000 })).rejects.toThrow(refused('LIMIT_EXCEEDED', '4000 bytes'));
    await expect(ingest(gzipSync(two), undefined, { maxBytes: 4000 })).rejects.toThrow(
      refused('LIMIT_EXCEEDED', '4000'),
    );
    const deep = await tarOf({ name: 'a/b/c/d', text: '' });
    await expect(ingest(deep, undefined, { maxPathBytes: 6 })).rejects.toThrow(refused('LIMIT_EXCEEDED', 'a/b/c/d'));
  });

  it('does not unpack a bomb', async () => {
    const bomb = gzipSync(await tarOf({ name: 'zeros', text: '\0'.repeat(32 * 1024 * 1024) }));
    let sent = 0;
    const source = async function* (): Bytes {
      for (let from = 0; from < bomb.length; from += 1024) {
        sent = from;
        yield bomb.subarray(from, from + 1024);
      }
    };
    const bounded = { ...limits, maxBytes: 1024 * 1024 };
    await expect(ingestTar(source(), new MemoryContentStore(), bounded)).rejects.toThrow(refused('LIMIT_EXCEEDED', ''));
    expect(sent).toBeLessThan(bomb.length);
  });

  it('tells a store that fails from an archive that is damaged', async () => {
    class Full extends MemoryContentStore {
      override put(): Promise<never> {
        return Promise.reject(new KilnError('UPSTREAM_UNAVAILABLE', 'no space'));
      }
    }
    for (const size of [10, 2 * 1024 * 1024]) {
      const bytes = await tarOf({ name: 'a', text: 'x'.repeat(size) }, { name: 'b', text: 'y' });
      await expect(ingest(bytes, new Full())).rejects.toThrow(refused('UPSTREAM_UNAVAILABLE', 'no space'));
    }
  });

  it('hands on what goes wrong with the upload itself', async () => {
    for (const bytes of [await small, gzipSync(await small)]) {
      const source = async function* (): Bytes {
        yield bytes.subarray(0, bytes.length / 2);
        throw new Error('connection reset');
      };
      await expect(ingestTar(source(), new MemoryContentStore(), limits)).rejects.toThrow('connection reset');
    }
  });

  it('stops when it is cancelled', async () => {
    const abort = new AbortController();
    const bytes = await tarOf({ name: 'big', text: 'x'.repeat(4 * 1024 * 1024) });
    let ended = false;
    const source = async function* (): Bytes {
      try {
        for (let from = 0; from < bytes.length; from += 65_536) {
          if (from > 1_000_000) abort.abort(new Error('cancelled'));
          yield bytes.subarray(from, from + 65_536);
        }
      } finally {
        ended = true;
      }
    };
    const store = new MemoryContentStore();
    await expect(ingestTar(source(), store, limits, abort.signal)).rejects.toThrow('cancelled');
    expect(ended).toBe(true);
    expect(store.digests()).toEqual([]);
  });

  it('does not wait for a client that stalls, when it is cancelled or has seen enough', async () => {
    const bytes = await tarOf({ name: '/absolute', text: 'x'.repeat(100_000) });
    const stalled = async function* (part: Buffer): Bytes {
      yield part;
      await new Promise(() => {});
    };
    await expect(ingestTar(stalled(bytes), new MemoryContentStore(), limits)).rejects.toThrow(
      refused('CONTEXT_INVALID', 'absolute'),
    );
    const abort = new AbortController();
    const waiting = ingestTar(stalled((await small).subarray(0, 1500)), new MemoryContentStore(), limits, abort.signal);
    setTimeout(() => abort.abort(new Error('cancelled')), 20);
    await expect(waiting).rejects.toThrow('cancelled');
  });

  it('takes many small files and a large one in little memory', async () => {
    const text = Buffer.alloc(900_000, 'small ');
    const large = 96 * 1024 * 1024;
    const tar = pack();
    const fill = (async () => {
      for (let index = 0; index < 100; index++) {
        await new Promise((resolve) => tar.entry({ name: `s${index}`, mtime: at }, text, resolve));
      }
      const sink = tar.entry({ name: 'large', mtime: at, size: large });
      for (let sent = 0; sent < large; sent += 1024 * 1024) {
        if (!sink.write(Buffer.alloc(1024 * 1024))) await new Promise<void>((resolve) => sink.once('drain', resolve));
      }
      sink.end(null);
      tar.finalize();
    })();
    const digest = digestOf('nothing is kept');
    /** Reads everything, slowly, and keeps nothing. */
    class Sieve extends MemoryContentStore {
      override async put(source: Bytes): Promise<{ digest: typeof digest; sizeBytes: number }> {
        let sizeBytes = 0;
        for await (const chunk of source) {
          sizeBytes += chunk.byteLength;
          await new Promise((resolve) => setImmediate(resolve));
        }
        return { digest, sizeBytes };
      }
    }
    const before = process.memoryUsage().rss;
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 5);
    const bounded = { ...limits, maxBytes: 1024 * 1024 * 1024 };
    const found = await ingestTar(Readable.from(tar), new Sieve(), bounded);
    clearInterval(watch);
    await fill;
    expect(found.manifest.entries.length).toBe(101);
    expect(peak - before).toBeLessThan(128 * 1024 * 1024);
  });
});

import { gzipSync, zstdCompressSync } from 'node:zlib';
import { digestOf } from '#oci';
import { type Bytes, collect, KilnError, single } from '#std';
import { MemoryContentStore } from '#testing';
import { type Header, pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { type ContextLimits, type IngestedContext, ingestTar } from './ingest-tar.ts';

const limits: ContextLimits = { maxFiles: 1000, maxBytes: 64 * 1024 * 1024, maxPathBytes: 4096 };
const at = new Date(1_700_000_000_000);
type Item = Partial<Header> & Pick<Header, 'name'> & { readonly text?: string };

async function tarOf(...items: readonly Item[]): Promise<Buffer> {
  const tar = pack();
  for (const { text, ...header } of items) {
    const full = { mtime: at, mode: 0o644, ...header };
    if (text === undefined) tar.entry(full);
    else tar.entry(full, text);
  }
  tar.finalize();
  return collect(tar as unknown as Bytes, 64 * 1024 * 1024);
}

const ingest = (
  bytes: Buffer,
  store = new MemoryContentStore(),
  some: Partial<ContextLimits> = {},
): Promise<IngestedContext> => ingestTar(single(bytes), store, { ...limits, ...some });
const pathsOf = ({ manifest }: IngestedContext): readonly string[] => manifest.entries.map(({ path }) => path);
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
const mtime = 1_700_000_000;
const owned = { uid: 0, gid: 0, mtime };

describe('ingestTar', () => {
  it('makes blobs and a manifest of an archive', async () => {
    const store = new MemoryContentStore();
    const bytes = await small;
    const { manifest, digests, bytesReceived } = await ingest(bytes, store);
    expect(manifest.entries).toEqual([
      { path: 'a', type: 'dir', mode: 0o755, ...owned },
      { path: 'a/run', type: 'file', mode: 0o4755, size: 2, digest: digestOf('#!'), ...owned },
      { path: 'b.txt', type: 'file', mode: 0o644, size: 1, digest: digestOf('b'), ...owned },
      { path: 'link', type: 'symlink', mode: 0o644, link: '../../etc/passwd', ...owned },
      { path: 'pipe', type: 'fifo', mode: 0o644, ...owned },
    ]);
    expect(digests).toEqual(
      new Map([
        [digestOf('#!'), 2],
        [digestOf('b'), 1],
      ]),
    );
    expect(new Set(store.digests())).toEqual(new Set(digests.keys()));
    expect(bytesReceived).toBe(bytes.length);
  });

  it('reads gzip and zstd, of one piece or several, by their first bytes', async () => {
    const bytes = await small;
    const expected = (await ingest(bytes)).manifest;
    const half = 1024;
    const packed = [
      gzipSync(bytes),
      zstdCompressSync(bytes),
      Buffer.concat([gzipSync(bytes.subarray(0, half)), gzipSync(bytes.subarray(half))]),
      Buffer.concat([zstdCompressSync(bytes.subarray(0, half)), zstdCompressSync(bytes.subarray(half))]),
    ];
    for (const archive of packed) {
      const found = await ingest(archive);
      expect(found.manifest).toEqual(expected);
      expect(found.bytesReceived).toBe(archive.length);
    }
  });

  it('reads an archive that comes byte by byte', async () => {
    const bytes = await small;
    const drops = async function* (): Bytes {
      for (const byte of bytes) yield Buffer.of(byte);
    };
    expect((await ingestTar(drops(), new MemoryContentStore(), limits)).manifest).toEqual(
      (await ingest(bytes)).manifest,
    );
  });

  it('makes the directories that nobody described, and lets a later description count', async () => {
    const found = await ingest(await tarOf({ name: 'x/y/z', text: '' }, { name: 'x', type: 'directory', mode: 0o700 }));
    expect(found.manifest.entries.map(({ path, mode, mtime: time }) => [path, mode, time])).toEqual([
      ['x', 0o700, mtime],
      ['x/y', 0o755, 0],
      ['x/y/z', 0o644, mtime],
    ]);
  });

  it('takes the last of two entries with one name', async () => {
    const found = await ingest(await tarOf({ name: 'a', text: 'old' }, { name: './a', text: 'new', mode: 0o600 }));
    expect(found.manifest.entries).toEqual([
      { path: 'a', type: 'file', mode: 0o600, size: 3, digest: digestOf('new'), ...owned },
    ]);
    expect([...found.digests.keys()]).toEqual([digestOf('new')]);
  });

  it('gives a hard link the content of its file, as it was then', async () => {
    const found = await ingest(
      await tarOf(
        { name: 'a', text: 'one' },
        { name: 'd/b', type: 'link', linkname: './a' },
        { name: 'a', text: 'two' },
        { name: 's', type: 'symlink', linkname: 'a' },
        { name: 't', type: 'link', linkname: 's' },
      ),
    );
    const contents = Object.fromEntries(found.manifest.entries.map(({ path, digest, link }) => [path, digest ?? link]));
    expect(contents).toEqual({ a: digestOf('two'), d: undefined, 'd/b': digestOf('one'), s: 'a', t: 'a' });
  });

  it('keeps long names, and names that are no UTF-8', async () => {
    const long = `${'d'.repeat(120)}/${'f'.repeat(200)}`;
    const bytes = await tarOf({ name: long, text: '' }, { name: 'ünï/😀', text: '' }, { name: 'cafe', text: '' });
    const header = bytes.indexOf('cafe');
    bytes[header + 3] = 0xe9;
    // The checksum is over the header's bytes.
    const sum = bytes
      .subarray(header, header + 512)
      .reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, header + 148, 'latin1');
    expect(pathsOf(await ingest(bytes)).filter((path) => path !== 'ünï' && path !== 'd'.repeat(120))).toEqual([
      'caf\udce9',
      long,
      'ünï/😀',
    ]);
  });

  it('refuses a name that its PAX record has lost', async () => {
    const pax = { path: 'caf\ufffd' };
    await expect(ingest(await tarOf({ name: 'x', text: '', pax }))).rejects.toThrow(
      refused('CONTEXT_INVALID', 'not UTF-8'),
    );
  });

  const invalid: readonly (readonly [string, string, readonly Item[]])[] = [
    ['an absolute name', '"/etc/passwd" has an absolute name', [{ name: '/etc/passwd', text: 'x' }]],
    ['a name that leads out', '"../x" leads out', [{ name: '../x', text: 'x' }]],
    ['a name that leads out and back', '"a/../../b/x" leads out', [{ name: 'a/../../b/x', text: 'x' }]],
    ['.. within', '"a/../b" leads out', [{ name: 'a/../b', text: 'x' }]],
    [
      'a file below a file',
      '"a/b" lies below "a", which is a file',
      [
        { name: 'a', text: '' },
        { name: 'a/b', text: '' },
      ],
    ],
    [
      'a file behind a link',
      '"a/b" lies below "a", which is a symlink',
      [
        { name: 'a', type: 'symlink', linkname: '/etc' },
        { name: 'a/b', text: '' },
      ],
    ],
    [
      'a file in the place of a full directory',
      '"a/b" lies in',
      [
        { name: 'a/b', text: '' },
        { name: 'a', text: '' },
      ],
    ],
    [
      'a link in the place of a full directory',
      '"a/b" lies in',
      [
        { name: 'a/b', text: '' },
        { name: 'a', type: 'symlink', linkname: '/' },
      ],
    ],
    ['a device', '"null" is a device', [{ name: 'null', type: 'character-device', devmajor: 1, devminor: 3 }]],
    ['a block device', '"sda" is a device', [{ name: 'sda', type: 'block-device', devmajor: 8, devminor: 0 }]],
    ['a hard link to nothing', '"b" is a hard link to "a"', [{ name: 'b', type: 'link', linkname: 'a' }]],
    ['a hard link to itself', '"b" is a hard link to "b"', [{ name: 'b', type: 'link', linkname: 'b' }]],
    [
      'a hard link that leads out',
      '"../../etc/shadow" leads out',
      [{ name: 'b', type: 'link', linkname: '../../etc/shadow' }],
    ],
    [
      'a hard link by an absolute name',
      '"/etc/shadow" has an absolute name',
      [{ name: 'b', type: 'link', linkname: '/etc/shadow' }],
    ],
    [
      'a hard link to a directory',
      '"b" is a hard link to "a"',
      [
        { name: 'a', type: 'directory' },
        { name: 'b', type: 'link', linkname: 'a' },
      ],
    ],
    ['a name that is too long', 'more than 255 bytes', [{ name: 'x'.repeat(256), text: '' }]],
    ['a sparse file', '"s" is a sparse file', [{ name: 's', text: '', pax: { 'GNU.sparse.major': '1' } }]],
    ['a root that is no directory', 'no directory', [{ name: '.', text: 'x' }]],
  ];
  it.each(invalid)('refuses %s', async (_, text, items) => {
    await expect(ingest(await tarOf(...items))).rejects.toThrow(refused('CONTEXT_INVALID', text));
  });

  it('refuses a NUL in a name', async () => {
    const items: Item = { name: 'x', text: '', pax: { path: 'a\0b' } };
    await expect(ingest(await tarOf(items))).rejects.toThrow(refused('CONTEXT_INVALID', 'NUL'));
  });

  it('takes a name as it stands, and no more than a name', async () => {
    expect(
      pathsOf(
        await ingest(
          await tarOf({ name: 'a\\..\\b', text: '' }, { name: '...', text: '' }, { name: '__proto__', text: '' }),
        ),
      ),
    ).toEqual(['...', '__proto__', 'a\\..\\b']);
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
    const found = await ingestTar(tar as unknown as Bytes, new Sieve(), bounded);
    clearInterval(watch);
    await fill;
    expect(found.manifest.entries.length).toBe(101);
    expect(peak - before).toBeLessThan(128 * 1024 * 1024);
  });
});

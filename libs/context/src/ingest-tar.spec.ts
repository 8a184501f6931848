import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isCleanPath } from '#content';
import { digestOf } from '#oci';
import { type Bytes, single } from '#std';
import { MemoryContentStore, TAR_MTIME, type TarItem, tarOf } from '#testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ContextLimits, type IngestedContext, ingestTar } from './ingest-tar.ts';
import { makeManifest } from './manifest.ts';

const limits: ContextLimits = { maxFiles: 1000, maxBytes: 64 * 1024 * 1024, maxPathBytes: 4096 };
const ingest = (bytes: Buffer, store = new MemoryContentStore()): Promise<IngestedContext> =>
  ingestTar(single(bytes), store, limits);
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
const mtime = TAR_MTIME;
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

  it.each([
    ['xz', Buffer.from('fd377a585a000004e6d6b446', 'hex')],
    ['bzip2', Buffer.from('425a68393141592653594e', 'hex')],
    ['zip', Buffer.from('504b0304140000000800', 'hex')],
  ])('names what it does not read: %s', async (name, bytes) => {
    await expect(ingest(bytes)).rejects.toEqual(refused('CONTEXT_INVALID', `is compressed by ${name}`));
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

  it('keeps the names of one file together, the first in order of paths before the others', async () => {
    const found = await ingest(
      await tarOf(
        { name: 'b', text: 'one' },
        { name: 'c', type: 'link', linkname: 'b' },
        { name: 'a', type: 'link', linkname: 'c' },
        { name: 'same', text: 'one' },
      ),
    );
    expect(found.manifest.entries.map(({ path, hardlink }) => [path, hardlink])).toEqual([
      ['a', undefined],
      ['b', 'a'],
      ['c', 'a'],
      ['same', undefined],
    ]);
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

  const invalid: readonly (readonly [string, string, readonly TarItem[]])[] = [
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

  it('refuses what is longer than any file system has it', async () => {
    const linkname = 'x'.repeat(5_000);
    const long = ingest(await tarOf({ name: 'b', type: 'symlink', linkname, pax: { linkpath: linkname } }));
    await expect(long).rejects.toThrow(refused('LIMIT_EXCEEDED', '"b" is a link to more than 4096 bytes'));
    const pax = Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`x${at}`, '']));
    await expect(ingest(await tarOf({ name: 'c', text: '', pax }))).rejects.toThrow(
      refused('CONTEXT_INVALID', '"c" has more than 1000 attributes'),
    );
  });

  it('takes apart no more of what stands before files than files have', async () => {
    const comment = tarOf({ name: 'a', text: '', pax: { comment: 'x'.repeat(200_000) } });
    await expect(ingest(await comment)).rejects.toThrow(refused('LIMIT_EXCEEDED', '131072 bytes of attributes'));
    const [header, end] = [await tarOf({ name: 'a', text: '', pax: { comment: 'x'.repeat(50_000) } }), 1024];
    const many = Buffer.concat(Array.from({ length: 30 }, () => header.subarray(0, -end)));
    const few = { ...limits, maxFiles: 1_000 };
    await expect(ingestTar(single(many), new MemoryContentStore(), few)).rejects.toThrow(
      refused('LIMIT_EXCEEDED', `${1_000 * 1_024} bytes of attributes`),
    );
  });

  it('counts files that replace each other, too', async () => {
    const same = Array.from({ length: 7 }, () => ({ name: 'a', text: 'x' }));
    const few = { ...limits, maxFiles: 3 };
    await expect(ingestTar(single(await tarOf(...same)), new MemoryContentStore(), few)).rejects.toThrow(
      refused('LIMIT_EXCEEDED', 'more than 3 files'),
    );
    const twice = await tarOf(...same.slice(0, 6));
    expect(pathsOf(await ingestTar(single(twice), new MemoryContentStore(), few))).toEqual(['a']);
  });

  it('lets no name out of the context, whatever an archive says', async () => {
    const part = fc.constantFrom('a', 'b', '..', '.', '', '...', 'a..', '\\', 'é');
    const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/') || '.');
    const type = fc.constantFrom('file' as const, 'directory' as const, 'symlink' as const, 'link' as const);
    const items = fc.array(fc.record({ name, type, linkname: name }), { minLength: 1, maxLength: 5 });
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(items, async (list) => {
        let found: IngestedContext;
        try {
          found = await ingest(await tarOf(...list));
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'CONTEXT_INVALID' });
          return;
        }
        accepted++;
        for (const path of pathsOf(found)) expect(path !== '' && isCleanPath(path), path).toBe(true);
        expect(makeManifest(found.manifest.entries)).toEqual(found.manifest);
      }),
      { numRuns: 300 },
    );
    expect(accepted).toBeGreaterThan(10);
  });

  it('refuses a NUL in a name', async () => {
    const items: TarItem = { name: 'x', text: '', pax: { path: 'a\0b' } };
    await expect(ingest(await tarOf(items))).rejects.toThrow(refused('CONTEXT_INVALID', 'NUL'));
  });

  it('tells names apart that differ in case, or in how Unicode is composed, as Linux does', async () => {
    const names = ['A', 'a', 'caf\u00e9', 'cafe\u0301', 'stra\u00dfe', 'strasse'];
    const found = pathsOf(await ingest(await tarOf(...names.map((name) => ({ name, text: name })))));
    expect(found.toSorted()).toEqual(names.toSorted());
  });

  it('reads nothing of a file whose header says that it is too large', async () => {
    const head = (await tarOf({ name: 'big', text: '' })).subarray(0, 512);
    const declared = Buffer.from(head);
    declared.write((limits.maxBytes + 1).toString(8).padStart(11, '0'), 124);
    declared.fill(' ', 148, 156);
    const sum = declared.reduce((all, byte) => all + byte, 0);
    declared.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    const endless = async function* (): Bytes {
      yield declared;
      await new Promise(() => undefined);
    };
    await expect(ingestTar(endless(), new MemoryContentStore(), limits)).rejects.toThrow(
      refused('LIMIT_EXCEEDED', `more than ${limits.maxBytes} bytes`),
    );
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
});

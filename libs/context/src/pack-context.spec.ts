import {
  linkSync,
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodePath, parentOf, type TreeEntry } from '#content';
import { digestOf } from '#oci';
import { type Bytes, collect } from '#std';
import { MemoryContentStore, treeEntries } from '#testing';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { parseIgnore } from './ignore.ts';
import { ingestTar } from './ingest-tar.ts';
import { filterManifest, makeManifest } from './manifest.ts';
import { packContext } from './pack-context.ts';
import { type ContextFile, walkContext } from './walk-context.ts';

const folders: string[] = [];
function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kiln-context-'));
  folders.push(folder);
  return folder;
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const limits = { maxFiles: 10_000, maxBytes: 1024 ** 3, maxPathBytes: 4096 };
const atSeconds = 1_700_000_000;
const onDisk = (folder: string, path: string): Buffer => Buffer.concat([Buffer.from(`${folder}/`), encodePath(path)]);

/** Writes files by path; a text that begins with `->` is a link, a path that ends in `/` a directory. */
function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    const clean = path.replace(/\/$/, '');
    mkdirSync(onDisk(folder, path.endsWith('/') ? clean : parentOf(path)), { recursive: true });
    if (path.endsWith('/')) continue;
    if (text.startsWith('->')) symlinkSync(encodePath(text.slice(2)), onDisk(folder, path));
    else writeFileSync(onDisk(folder, path), text);
  }
}

async function walked(folder: string, dockerfile?: string): Promise<readonly string[]> {
  const files: ContextFile[] = [];
  for await (const entry of walkContext(folder, dockerfile === undefined ? {} : { dockerfile })) files.push(entry);
  return files.map(({ path }) => path);
}
async function packed(folder: string): Promise<Buffer> {
  return collect((await packContext(folder)).tar, 1024 ** 3);
}
async function throughTar(folder: string): Promise<readonly TreeEntry[]> {
  return (await ingestTar((await packContext(folder)).tar, new MemoryContentStore(), limits)).manifest.entries;
}
const told = (code: string, text: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(text) as unknown });

describe('walkContext', () => {
  it('goes in order of paths and leaves out what is ignored', async () => {
    const folder = makeFolder();
    write(folder, {
      '.dockerignore': 'node_modules\n*.log\n!keep.log\ndeep\n!deep/down/here',
      Dockerfile: '',
      'a/b': '',
      'a-b': '',
      'node_modules/x/y': '',
      'x.log': '',
      'keep.log': '',
      'deep/down/here': '',
      'deep/down/there': '',
      'deep/other/x': '',
    });
    expect(await walked(folder)).toEqual([
      '.dockerignore',
      'Dockerfile',
      'a',
      'a/b',
      'a-b',
      'deep',
      'deep/down',
      'deep/down/here',
      'keep.log',
    ]);
  });

  it('always sends the Dockerfile and the ignore files', async () => {
    const folder = makeFolder();
    write(folder, { '.dockerignore': '**', Dockerfile: '', other: '', 'ci/api.Dockerfile': '', 'ci/x': '' });
    expect(await walked(folder)).toEqual(['.dockerignore', 'Dockerfile']);
    expect(await walked(folder, 'ci/api.Dockerfile')).toEqual(['.dockerignore', 'ci', 'ci/api.Dockerfile']);
  });

  it('takes the ignore file of the Dockerfile instead of the common one', async () => {
    const folder = makeFolder();
    write(folder, { '.dockerignore': 'a', 'my.dockerignore': 'b', my: '', a: '', b: '' });
    expect(await walked(folder, 'my')).toEqual(['.dockerignore', 'a', 'my', 'my.dockerignore']);
  });

  it('gives what the farm would have left of everything', async () => {
    const ignores = fc.array(fc.constantFrom('a', '*', 'a/*', '**/b', '!a', '!a/b', '!**/a-', 'b/**'), {
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(treeEntries, ignores, async (entries, lines) => {
        const folder = makeFolder();
        const kept = entries.filter(({ type }) => type === 'file' || type === 'dir');
        for (const { path, type } of kept) {
          if (type === 'dir') mkdirSync(onDisk(folder, path), { recursive: true });
          else writeFileSync(onDisk(folder, path), '');
        }
        writeFileSync(`${folder}/.dockerignore`, lines.join('\n'));
        const all = makeManifest(kept.map((entry) => ({ ...entry, uid: 0, gid: 0 })));
        const expected = filterManifest(all, parseIgnore(lines.join('\n'))).entries.map(({ path }) => path);
        expect((await walked(folder)).filter((path) => path !== '.dockerignore')).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('leaves sockets out and names what it cannot send', async () => {
    const folder = makeFolder();
    write(folder, { a: '' });
    const server = createServer().listen(`${folder}/socket`);
    await new Promise((resolve) => server.once('listening', resolve));
    expect(await walked(folder)).toEqual(['a']);
    await new Promise((resolve) => server.close(resolve));
    await expect(walked(`${folder}/a`)).rejects.toThrow(told('INVALID_ARGUMENT', 'no directory'));
    await expect(walked(`${folder}/gone`)).rejects.toThrow(told('INVALID_ARGUMENT', 'no directory'));
    write(folder, { '.dockerignore': '[' });
    await expect(walked(folder)).rejects.toThrow(told('CONTEXT_INVALID', 'line 1'));
  });

  it('stops when it is cancelled', async () => {
    const folder = makeFolder();
    write(folder, { 'a/b': '' });
    await expect(packContext(folder, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });
});

describe('packContext', () => {
  it('comes out of the tar as it lay on the disk', async () => {
    const folder = makeFolder();
    const long = `${'d'.repeat(200)}/${'f'.repeat(200)}`;
    const names = {
      'plain.txt': 'text',
      'dir/': '',
      'ünï/😀': 'unicode',
      [long]: 'long',
      'caf\udce9': 'latin-1',
      'bytes\udcff/\udcfe\udc80': '',
      link: '->../outside',
      'long-link': `->${'t'.repeat(300)}`,
      'ünï-link': '->ünï',
      'byte-link': '->caf\udce9',
      'big.bin': 'x'.repeat(2_500_000),
    };
    write(folder, names);
    chmodSync(`${folder}/plain.txt`, 0o4751);
    chmodSync(`${folder}/dir`, 0o1777);
    for (const path of ['plain.txt', 'big.bin']) utimesSync(`${folder}/${path}`, atSeconds, atSeconds);
    utimesSync(`${folder}/dir`, 5_000_000_000, 5_000_000_000);
    const entries = new Map((await throughTar(folder)).map((entry) => [entry.path, entry]));
    for (const [path, text] of Object.entries(names)) {
      const entry = entries.get(path.replace(/\/$/, ''));
      if (text.startsWith('->')) expect(entry).toMatchObject({ type: 'symlink', link: text.slice(2) });
      else if (path.endsWith('/')) expect(entry).toMatchObject({ type: 'dir' });
      else
        expect(entry).toMatchObject({
          type: 'file',
          size: Buffer.byteLength(text),
          digest: digestOf(text),
          uid: 0,
          gid: 0,
        });
    }
    expect(entries.get('plain.txt')).toMatchObject({ mode: 0o4751, mtime: atSeconds });
    expect(entries.get('dir')).toMatchObject({ mode: 0o1777, mtime: 5_000_000_000 });
    expect(entries.size).toBe(Object.keys(names).length + 3);
  });

  it('keeps the names of one file together, of those that are sent', async () => {
    const folder = makeFolder();
    write(folder, { a: 'one', 'b/c': 'two', '.dockerignore': 'a' });
    linkSync(`${folder}/a`, `${folder}/b/d`);
    linkSync(`${folder}/a`, `${folder}/e`);
    const links = (await throughTar(folder))
      .filter(({ type }) => type === 'file')
      .map(({ path, hardlink }) => [path, hardlink]);
    expect(links).toEqual([
      ['.dockerignore', undefined],
      ['b/c', undefined],
      ['b/d', undefined],
      ['e', 'b/d'],
    ]);
  });

  it('is the same bytes for the same files, and says how much it is', async () => {
    const [a, b] = [makeFolder(), makeFolder()];
    const files = { 'b/c': '1', 'a/x': '22', z: '333' };
    write(a, files);
    write(b, Object.fromEntries(Object.entries(files).reverse()));
    for (const folder of [a, b]) {
      for (const path of ['b/c', 'a/x', 'z', 'a', 'b']) utimesSync(`${folder}/${path}`, atSeconds, atSeconds);
    }
    expect(await packed(a)).toEqual(await packed(b));
    const { tar, ...sizes } = await packContext(a);
    expect(sizes).toEqual({ files: 5, sizeBytes: 6 });
    for await (const _ of tar) break;
  });

  it('brings every tree to the farm as it is', async () => {
    await fc.assert(
      fc.asyncProperty(treeEntries, async (entries) => {
        const folder = makeFolder();
        const kept = entries.filter(({ type }) => type === 'file' || type === 'dir' || type === 'symlink');
        for (const entry of kept) {
          const at = onDisk(folder, entry.path);
          if (entry.type === 'dir') mkdirSync(at);
          else if (entry.type === 'symlink') symlinkSync(encodePath(entry.link ?? ''), at);
          else writeFileSync(at, entry.digest === digestOf('x') ? 'x' : entry.size === 0 ? '' : 'y');
          if (entry.type !== 'symlink') chmodSync(at, entry.mode | 0o700);
        }
        const expected = makeManifest(
          kept.map((entry) => ({
            ...entry,
            uid: 0,
            gid: 0,
            mtime: 0,
            mode: entry.type === 'symlink' ? 0o777 : entry.mode | 0o700,
          })),
        ).entries;
        expect((await throughTar(folder)).map((entry) => ({ ...entry, mtime: 0 }))).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ['small', 10],
    ['large', 3_000_000],
  ])('names a %s file that changes while it is read', async (_, size) => {
    for (const change of ['grows', 'shrinks', 'goes']) {
      const folder = makeFolder();
      write(folder, { busy: 'x'.repeat(size) });
      const { tar } = await packContext(folder);
      if (change === 'goes') rmSync(`${folder}/busy`);
      else if (change === 'shrinks') truncateSync(`${folder}/busy`, size - 1);
      else {
        const descriptor = openSync(`${folder}/busy`, 'a');
        writeSync(descriptor, 'y');
        closeSync(descriptor);
      }
      await expect(collect(tar, 1024 ** 3), change).rejects.toThrow(told('CONTEXT_INVALID', '"busy"'));
    }
  });

  it('does not follow a link that takes a file’s place', async () => {
    const folder = makeFolder();
    write(folder, { victim: 'x', 'elsewhere/secret': 'y' });
    const { tar } = await packContext(folder);
    rmSync(`${folder}/victim`);
    symlinkSync('elsewhere/secret', `${folder}/victim`);
    await expect(collect(tar, 1024 ** 3)).rejects.toThrow(told('CONTEXT_INVALID', '"victim"'));
  });

  it('closes its files when the reader leaves', async () => {
    const folder = makeFolder();
    write(folder, { big: 'x'.repeat(30_000_000) });
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    const leave = async (tar: Bytes): Promise<void> => {
      for await (const _ of tar) break;
    };
    for (let round = 0; round < 5; round++) await leave((await packContext(folder)).tar);
    expect(open()).toBe(before);
  });
});

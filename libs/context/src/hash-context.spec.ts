import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodePath, parentOf, type TreeEntry } from '#content';
import { digestOf } from '#oci';
import { systemClock } from '#std';
import { treeEntries } from '#testing';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { parseIgnore } from './ignore.ts';
import { filterManifest, makeManifest } from './manifest.ts';
import { hashContext, hashPaths } from './hash-context.ts';
import { type LocalFile, readLocalFile } from './local-file.ts';
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
async function hashed(folder: string): Promise<readonly TreeEntry[]> {
  return (await hashContext(folder)).manifest.entries;
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
    await expect(hashContext(folder, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });
});

describe('hashContext', () => {
  it('describes what lies on the disk', async () => {
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
    const entries = new Map((await hashed(folder)).map((entry) => [entry.path, entry]));
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
    const links = (await hashed(folder))
      .filter(({ type }) => type === 'file')
      .map(({ path, hardlink }) => [path, hardlink]);
    expect(links).toEqual([
      ['.dockerignore', undefined],
      ['b/c', undefined],
      ['b/d', undefined],
      ['e', 'b/d'],
    ]);
  });

  it('is the same for the same files, and says how much it is', async () => {
    const [a, b] = [makeFolder(), makeFolder()];
    const files = { 'b/c': '1', 'a/x': '22', z: '333', y: '333' };
    write(a, files);
    write(b, Object.fromEntries(Object.entries(files).reverse()));
    for (const folder of [a, b]) {
      for (const path of ['b/c', 'a/x', 'z', 'y', 'a', 'b']) utimesSync(`${folder}/${path}`, atSeconds, atSeconds);
    }
    expect(await hashed(a)).toEqual(await hashed(b));
    const { manifest: _, files: byDigest, ...sizes } = await hashContext(a);
    expect(sizes).toMatchObject({ count: 4, sizeBytes: 9, hashedBytes: 9 });
    expect([...byDigest.keys()].toSorted()).toEqual(['1', '22', '333'].map((text) => digestOf(text)).toSorted());
  });

  it('digests much in threads as it does little here', async () => {
    const folder = makeFolder();
    const textOf = (index: number): Buffer => Buffer.alloc(7 * 1024 * 1024 + index, `${index}`);
    for (let index = 0; index < 6; index++) writeFileSync(`${folder}/f${index}`, textOf(index));
    const entries = new Map((await hashed(folder)).map(({ path, digest }) => [path, digest]));
    for (let index = 0; index < 6; index++) expect(entries.get(`f${index}`)).toBe(digestOf(textOf(index)));
    const stop = new AbortController();
    // Asked for the time, the threads are about to start.
    const nowMs = (): number => {
      queueMicrotask(() => stop.abort(new Error('enough')));
      return 0;
    };
    const { signal } = stop;
    await expect(hashContext(folder, { signal, clock: { ...systemClock, nowMs } })).rejects.toThrow('enough');
  });

  it('takes single files, and what they lie in', async () => {
    const folder = makeFolder();
    write(folder, { 'a/b/c': '1', 'a/d': '2', e: '3' });
    const { manifest } = await hashPaths(folder, ['a/b/c', 'e']);
    expect(manifest.entries.map(({ path }) => path)).toEqual(['a', 'a/b', 'a/b/c', 'e']);
    await expect(hashPaths(folder, ['a'])).rejects.toThrow(told('CONTEXT_INVALID', '"a"'));
    await expect(hashPaths(folder, ['x'])).rejects.toThrow(told('CONTEXT_INVALID', '"x"'));
  });

  it('describes every tree as it is', async () => {
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
        expect((await hashed(folder)).map((entry) => ({ ...entry, mtime: 0 }))).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});

describe('readLocalFile', () => {
  async function local(folder: string, path: string): Promise<LocalFile> {
    const found = [...(await hashContext(folder)).files.values()].find((file) => file.path === path);
    if (found === undefined) throw new Error(`no ${path}`);
    return found;
  }

  it('gives a file whole, or a part of it', async () => {
    const folder = makeFolder();
    write(folder, { file: '0123456789' });
    const file = await local(folder, 'file');
    expect((await readLocalFile(file)).toString()).toBe('0123456789');
    expect((await readLocalFile(file, 8, 4)).toString()).toBe('89');
  });

  it.each(['grows', 'shrinks', 'goes', 'is written anew', 'is a link'])('refuses one that %s', async (change) => {
    const folder = makeFolder();
    write(folder, { busy: 'x'.repeat(100), other: 'x'.repeat(100) });
    utimesSync(`${folder}/busy`, atSeconds, atSeconds);
    const file = await local(folder, 'busy');
    if (change === 'goes') rmSync(`${folder}/busy`);
    else if (change === 'shrinks') truncateSync(`${folder}/busy`, 99);
    else if (change === 'grows') appendFileSync(`${folder}/busy`, 'y');
    else if (change === 'is written anew') writeFileSync(`${folder}/busy`, 'y'.repeat(100));
    else {
      rmSync(`${folder}/busy`);
      symlinkSync('other', `${folder}/busy`);
    }
    await expect(readLocalFile(file)).rejects.toThrow(told('CONTEXT_INVALID', '"busy"'));
  });
});

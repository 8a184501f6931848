import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeHeader, endOfTar, padding, type TarHeader } from '#tar';
import { single } from '#std';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unpackFiles } from './unpack-files.ts';

let dir: string;
let into: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kiln-unpack-'));
  into = join(dir, 'into');
  await mkdir(into);
  await writeFile(join(dir, 'outside'), 'untouched');
});
afterEach(() => rm(dir, { recursive: true }));

type Entry = Partial<Omit<TarHeader, 'name' | 'link'>> & { readonly link?: string; readonly text?: string };

function tarOf(entries: readonly (readonly [string, Entry])[]): Buffer {
  const blocks = entries.flatMap(([name, { link, text = '', ...rest }]) => {
    const header: TarHeader = {
      name: Buffer.from(name, 'latin1'),
      type: 'file',
      mode: 0o644,
      uid: 7,
      gid: 7,
      size: Buffer.byteLength(text),
      mtime: 1_600_000_000,
      ...rest,
      ...(link === undefined ? {} : { link: Buffer.from(link) }),
    };
    return [encodeHeader(header), Buffer.from(text), Buffer.alloc(padding(text.length))];
  });
  return Buffer.concat([...blocks, endOfTar]);
}

const unpack = (...entries: readonly (readonly [string, Entry])[]) => unpackFiles(single(tarOf(entries)), { into });

describe('unpackFiles', () => {
  it('keeps modes, times and links', async () => {
    await unpack(
      ['closed', { type: 'dir', mode: 0o500 }],
      ['closed/run', { mode: 0o4755, text: 'hello' }],
      ['closed/same', { type: 'link', link: 'closed/run' }],
      ['away', { type: 'symlink', link: '/etc/passwd' }],
      ['caf\xe9', { text: 'latin' }],
    );
    const closed = await lstat(join(into, 'closed'));
    expect([closed.mode & 0o7777, closed.mtimeMs]).toEqual([0o500, 1_600_000_000_000]);
    const run = await lstat(join(into, 'closed/run'));
    expect([run.mode & 0o7777, run.nlink, run.mtimeMs, run.uid]).toEqual([
      0o4755,
      2,
      1_600_000_000_000,
      process.getuid?.(),
    ]);
    expect(await readlink(join(into, 'away'))).toBe('/etc/passwd');
    const names = await readdir(Buffer.from(into), { encoding: 'buffer' });
    expect(names.map((name) => name.toString('latin1')).sort()).toEqual(['away', 'caf\xe9', 'closed']);
  });

  it('takes the place of what is there, and leaves the rest', async () => {
    await writeFile(join(into, 'kept'), 'kept');
    await mkdir(join(into, 'dir/deep'), { recursive: true });
    await symlink('../outside', join(into, 'file'));
    await symlink('..', join(into, 'sub'));
    await unpack(
      ['file', { text: 'new' }],
      ['sub', { type: 'dir', mode: 0o755 }],
      ['sub/outside', { text: 'new' }],
      ['dir', { text: 'a file now' }],
    );
    expect(await readFile(join(dir, 'outside'), 'utf8')).toBe('untouched');
    expect(await readFile(join(into, 'file'), 'utf8')).toBe('new');
    expect(await readFile(join(into, 'sub/outside'), 'utf8')).toBe('new');
    expect(await readFile(join(into, 'dir'), 'utf8')).toBe('a file now');
    expect(await readFile(join(into, 'kept'), 'utf8')).toBe('kept');
  });

  it.each<[string, readonly (readonly [string, Entry])[]]>([
    ['a name that climbs', [['../outside', { text: 'x' }]]],
    ['an absolute name', [['/outside', { text: 'x' }]]],
    [
      'a way through a link of its own',
      [
        ['sub', { type: 'symlink', link: '..' }],
        ['sub/outside', { text: 'x' }],
      ],
    ],
    ['a hard link to what it has not given', [['got', { type: 'link', link: '../outside' }]]],
    [
      'a hard link by way of a link',
      [
        ['up', { type: 'symlink', link: '..' }],
        ['got', { type: 'link', link: 'up/outside' }],
      ],
    ],
    [
      'a file below a file',
      [
        ['a', { text: 'x' }],
        ['a/b', { text: 'x' }],
      ],
    ],
  ])('refuses %s', async (_, entries) => {
    await expect(unpack(...entries)).rejects.toMatchObject({ code: 'CONTEXT_INVALID' });
    expect(await readFile(join(dir, 'outside'), 'utf8')).toBe('untouched');
    expect(await readdir(dir)).toEqual(['into', 'outside']);
  });

  it('does not go through a link that was there before', async () => {
    await symlink('..', join(into, 'sub'));
    await expect(unpack(['sub/outside', { text: 'x' }])).rejects.toMatchObject({ code: 'CONTEXT_INVALID' });
    expect(await readFile(join(dir, 'outside'), 'utf8')).toBe('untouched');
  });

  it('says what it leaves out', async () => {
    const leftOut: string[] = [];
    const tar = tarOf([
      ['null', { type: 'char', major: 1, minor: 3 }],
      ['pipe', { type: 'fifo' }],
    ]);
    await unpackFiles(single(tar), { into, onLeftOut: (name) => leftOut.push(name) });
    expect(leftOut).toEqual(['"null"', '"pipe"']);
  });
});

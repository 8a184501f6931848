import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tarOf } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { see, type SeenImage } from './image.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

type Files = Readonly<Record<string, string | Buffer>>;

async function context(dockerfile: string, files: Files): Promise<string> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: dockerfile });
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(dir, name), bytes);
  return dir;
}

async function built(dockerfile: string, files: Files): Promise<SeenImage> {
  const dir = await context(dockerfile, files);
  const layout = join(dir, 'layout.tar');
  await farm.build(dir, '-o', `type=oci,dest=${layout}`);
  return await see(`oci-archive:${layout}`, await farm.folder());
}

async function refused(dockerfile: string, files: Files): Promise<string> {
  const { code, stderr } = await farm.kilnBuild([await context(dockerfile, files), '--progress=plain']);
  expect(code).toBe(1);
  return stderr;
}

const own = { name: 'd/own', mode: 0o4750, uid: 7, gid: 8, text: 'text' };
const archive = () => tarOf({ name: 'd', type: 'directory', mode: 0o700 }, own, { name: 'top', text: 'top' });

describe('ADD of an archive', () => {
  it('unpacks it, plain or compressed, whatever its name, with its owners and modes', async () => {
    const tar = await archive();
    const image = await built('FROM scratch\nADD a.tar b c.tgz d.zst e.bz2 f.xz /\nADD b /as/named\n', {
      'a.tar': await tarOf({ name: 'a', text: 'a' }),
      b: await tarOf({ name: 'b', text: 'b' }),
      'c.tgz': gzipSync(tar),
      'd.zst': zstdCompressSync(await tarOf({ name: 'zstd', text: 'z' })),
      'e.bz2': execFileSync('bzip2', ['-c'], { input: await tarOf({ name: 'bzip2', text: 'b' }) }),
      'f.xz': execFileSync('xz', ['-c'], { input: await tarOf({ name: 'xz', text: 'x' }) }),
    });
    for (const name of ['a', 'b', 'top', 'zstd', 'bzip2', 'xz', 'as/named/b']) {
      expect(await readFile(join(image.root, name), 'utf8')).not.toBe('');
    }
    expect(await stat(join(image.root, 'd/own'))).toMatchObject({ mode: 0o104750, uid: 7, gid: 8, size: 4 });
    expect((await stat(join(image.root, 'd'))).mode).toBe(0o40700);
  });

  it('copies what has no archive in it', async () => {
    const text = gzipSync('text');
    const image = await built('FROM scratch\nADD text.gz broken.tar.gz empty.tar /\n', {
      'text.gz': text,
      'broken.tar.gz': Buffer.concat([text.subarray(0, 12), Buffer.alloc(4)]),
      'empty.tar': Buffer.alloc(1024),
    });
    expect(await readFile(join(image.root, 'text.gz'))).toEqual(text);
    expect((await stat(join(image.root, 'broken.tar.gz'))).size).toBe(16);
    expect((await stat(join(image.root, 'empty.tar'))).size).toBe(1024);
  });

  it('leaves it whole where COPY says so', async () => {
    const tar = await archive();
    const image = await built('FROM scratch\nCOPY a.tar /\n', { 'a.tar': tar });
    expect(await readFile(join(image.root, 'a.tar'))).toEqual(tar);
  });

  it('gives its owner to all that it unpacks', async () => {
    const image = await built('FROM scratch\nADD --chown=5:6 a.tar /made/\n', { 'a.tar': await archive() });
    expect(await stat(join(image.root, 'made'))).toMatchObject({ uid: 5, gid: 6 });
    expect(await stat(join(image.root, 'made/d/own'))).toMatchObject({ uid: 5, gid: 6, mode: 0o104750 });
  });

  it('goes on top of what is there, and takes links as the archive’s directory has them', async () => {
    const dir = await context('FROM scratch\nCOPY tree/ /\nADD a.tar /\n', {
      'a.tar': await tarOf(
        { name: 'link', type: 'symlink', linkname: '../../../etc' },
        { name: 'link/inside', text: 'inside' },
        { name: 'file', type: 'directory' },
        { name: 'dir', text: 'now a file' },
      ),
    });
    for (const path of ['tree/etc', 'tree/dir']) await mkdir(join(dir, path), { recursive: true });
    await write(dir, { 'tree/file': 'old', 'tree/dir/gone': 'gone' });
    await symlink('etc', join(dir, 'tree/other'));
    await chmod(join(dir, 'tree/etc'), 0o711);
    const layout = join(dir, 'layout.tar');
    await farm.build(dir, '-o', `type=oci,dest=${layout}`);
    const { root } = await see(`oci-archive:${layout}`, await farm.folder());
    expect(await readlink(join(root, 'link'))).toBe('../../../etc');
    expect(await readFile(join(root, 'etc/inside'), 'utf8')).toBe('inside');
    expect((await lstat(join(root, 'file'))).isDirectory()).toBe(true);
    expect(await readFile(join(root, 'dir'), 'utf8')).toBe('now a file');
  });

  it('fails where the archive breaks off or cannot be in an image', async () => {
    const tar = await archive();
    const cut = await refused('FROM scratch\nADD a.tar /\n', { 'a.tar': tar.subarray(0, 1024 + 300) });
    expect(cut).toMatch(/the archive a\.tar cannot be unpacked: the tar cannot be read: it is cut off/);
    expect(cut).toMatch(/> 2 \| ADD a\.tar \//);
    const whiteout = { 'a.tar': await tarOf({ name: '.wh.name', text: '' }) };
    expect(await refused('FROM scratch\nADD a.tar /\n', whiteout)).toMatch(/names that begin with \.wh\./);
  });

  it('is a hit for the same bytes, and runs again for others', async () => {
    const dir = await context('FROM scratch\nADD a.tar /\n', { 'a.tar': await tarOf({ name: 'a', text: '1' }) });
    await farm.build(dir);
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 0, hit: 1 });
    await writeFile(join(dir, 'a.tar'), await tarOf({ name: 'a', text: '2' }));
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 1 });
  });
});

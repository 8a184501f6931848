import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDigest } from '#oci';
import { pushBaseImage } from './base-image.ts';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { see, type SeenImage, textIn } from './image.ts';

let farm: Farm;
beforeAll(async () => {
  farm = await Farm.start();
});
afterAll(() => farm[Symbol.asyncDispose]());

async function project(files: Readonly<Record<string, string>>): Promise<string> {
  const dir = await farm.folder();
  await write(dir, files);
  return dir;
}

async function built(dir: string, ...args: readonly string[]): Promise<SeenImage> {
  const layout = join(await farm.folder(), 'layout.tar');
  await farm.build(dir, '-o', `type=oci,dest=${layout}`, ...args);
  return await see(`oci-archive:${layout}`, await farm.folder());
}

/** Everything below a directory of an image, sorted; directories with a slash. */
async function list({ root }: SeenImage, path: string): Promise<readonly string[]> {
  const found = await readdir(join(root, path), { recursive: true, withFileTypes: true });
  return found
    .map(
      (entry) =>
        join(entry.parentPath, entry.name).slice(join(root, path).length + 1) + (entry.isDirectory() ? '/' : ''),
    )
    .sort();
}

const modeOf = async ({ root }: SeenImage, path: string): Promise<string> =>
  ((await lstat(join(root, path))).mode & 0o7777).toString(8);

describe('COPY --link', () => {
  it('goes onto another base without running, and without a byte of it', async () => {
    const dir = await project({ Dockerfile: 'FROM scratch\nCOPY old /old\n', old: 'old', f: 'linked' });
    const base = `${farm.registry.host}/base`;
    await farm.build(dir, '-t', `${base}:1`, '--push');
    // An image that this farm has never seen.
    await pushBaseImage(`${base}:2`);
    const onto = (version: number) => write(dir, { Dockerfile: `FROM ${base}:${version}\nCOPY --link f /app/f\n` });
    await onto(1);
    const tag = `${farm.registry.host}/base/app:1`;
    const first = await farm.build(dir, '-t', tag, '--push');
    expect(first['kiln.build'].steps).toEqual({ total: 1, hit: 0, run: 1, joined: 0 });
    await onto(2);
    const rebased = await farm.build(dir, '-t', tag, '--push');
    expect(rebased['kiln.build'].steps).toEqual({ total: 1, hit: 1, run: 0, joined: 0 });
    expect(rebased['kiln.build'].bytes.pulled).toBe(0);
    // No layer: only the new image's config.
    expect(rebased['kiln.build'].bytes.pushed).toBeLessThan(4096);
    const image = await see(`docker://${tag}`, await farm.folder());
    expect(image.layers).toHaveLength(2);
    expect(await textIn(image, 'app/f')).toBe('linked');
    expect((await lstat(join(image.root, 'bin/busybox'))).isFile()).toBe(true);
    const again = await farm.build(dir, '-t', tag, '--push');
    expect(again['containerimage.digest']).toBe(rebased['containerimage.digest']);
  });

  it('does not look at what it is put on', async () => {
    const dir = await project({
      Dockerfile: `FROM box:1
RUN mkdir -m 700 /real /kept && ln -s real /link && echo below > /kept/below
WORKDIR /kept
COPY --link f ../link/
COPY --link --chown=5:root d .
COPY --link f /made/on/the/way/
RUN ls -ld /link > /seen && cat /link/f /kept/below /kept/x >> /seen
`,
      f: 'linked\n',
      'd/x': 'x\n',
    });
    const image = await built(dir);
    expect(await textIn(image, 'seen')).toMatch(/^d.*\nlinked\nbelow\nx\n$/);
    expect(await list(image, 'link')).toEqual(['f']);
    expect(await list(image, 'real')).toEqual([]);
    // The linked directory is on top, with its own mode and owner.
    expect(await modeOf(image, 'kept')).toBe('755');
    expect(await stat(join(image.root, 'kept'))).toMatchObject({ uid: 5, gid: 0 });
    expect(await list(image, 'made')).toEqual(['on/', 'on/the/', 'on/the/way/', 'on/the/way/f']);
  });

  it('is there for steps on it on a builder that has nothing, and comes back when it is lost', async () => {
    const dockerfile = (last: string): string => `FROM box:1\nRUN echo 1 > /one\nCOPY --link f /two\nRUN ${last}\n`;
    const dir = await project({ Dockerfile: dockerfile('cat /one /two > /three'), f: 'two\n' });
    await farm.build(dir);
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 0, hit: 3 });
    await farm.stopBuilder('one', 'SIGTERM');
    await farm.startBuilder('fresh');
    try {
      await write(dir, { Dockerfile: dockerfile('cat /two /one > /three') });
      const layout = join(dir, 'layout.tar');
      const changed = await farm.build(dir, '-o', `type=oci,dest=${layout}`);
      expect(changed['kiln.build'].steps).toMatchObject({ run: 1, hit: 2 });
      const image = await see(`oci-archive:${layout}`, await farm.folder());
      expect(await textIn(image, 'three')).toBe('two\n1\n');
      expect(image.layers).toHaveLength(4);
      await farm.content.remove(new Set(image.layers.slice(2, 3).map(parseDigest)));
      const repaired = await farm.build(dir, '-o', `type=oci,dest=${layout}`);
      expect(await textIn(await see(`oci-archive:${layout}`, await farm.folder()), 'three')).toBe('two\n1\n');
      expect(repaired['kiln.build'].steps).toMatchObject({ total: 3 });
    } finally {
      await farm.stopBuilder('fresh', 'SIGTERM');
      await farm.startBuilder('one');
    }
  });
});

describe('what COPY takes', () => {
  it('--parents keeps directories, --exclude leaves out, each with the modes and times of the source', async () => {
    const dir = await project({
      Dockerfile: `FROM scratch
COPY --parents src/a/x.txt ./src/./b/**/*.txt /parents/
COPY --exclude=**/*.txt --exclude=!a/x.txt src /excluded
COPY --parents --exclude=b src/* /both/
`,
      'src/a/x.txt': 'x',
      'src/a/y.md': 'y',
      'src/b/deep/z.txt': 'z',
      'src/b/deep/w.md': 'w',
    });
    await chmod(join(dir, 'src/a'), 0o700);
    for (const path of ['src/a', 'src']) await utimes(join(dir, path), 1_500_000_000, 1_500_000_000);
    const image = await built(dir);
    expect(await list(image, 'parents')).toEqual(['b/', 'b/deep/', 'b/deep/z.txt', 'src/', 'src/a/', 'src/a/x.txt']);
    expect(await list(image, 'excluded')).toEqual(['a/', 'a/x.txt', 'a/y.md', 'b/', 'b/deep/', 'b/deep/w.md']);
    expect(await list(image, 'both')).toEqual([
      'src/',
      'src/a/',
      'src/a/x.txt',
      'src/a/y.md',
      'src/b/',
      'src/b/deep/',
      'src/b/deep/w.md',
      'src/b/deep/z.txt',
    ]);
    expect(await modeOf(image, 'parents/src/a')).toBe('700');
    for (const path of ['parents/src', 'parents/src/a', 'excluded/a', 'excluded']) {
      expect((await stat(join(image.root, path))).mtimeMs).toBe(1_500_000_000_000);
    }
  });

  it('by what it selects: a file that is left out changes nothing', async () => {
    const dir = await project({
      Dockerfile: 'FROM scratch\nCOPY --exclude=*.log . /a/\nCOPY --parents d/*.txt /b/\n',
      'd/f.txt': '1',
      'd/f.md': '1',
      'x.log': '1',
    });
    await farm.build(dir);
    await write(dir, { 'x.log': '2' });
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 0, hit: 2 });
    await write(dir, { 'd/f.md': '2' });
    // What is below a copied file's layer changed; what the second one takes did not.
    expect((await farm.build(dir))['kiln.build'].steps).toMatchObject({ run: 2 });
  });

  it('--chmod by letters counts from what the source has', async () => {
    const dir = await project({
      Dockerfile: `FROM scratch
ARG MODE=u=rwX
COPY --chmod=$MODE,go=rX d /new/
COPY --chmod=a-w,u+s d/run /set
`,
      'd/sub/f': 'f',
      'd/run': '#!/bin/sh\n',
    });
    await chmod(join(dir, 'd/run'), 0o700);
    await chmod(join(dir, 'd/sub'), 0o700);
    const image = await built(dir);
    expect(
      await Promise.all(['new', 'new/sub', 'new/sub/f', 'new/run', 'set'].map((path) => modeOf(image, path))),
    ).toEqual(['755', '755', '644', '755', '4500']);
  });

  it('says what is missing, and why', async () => {
    const refused = async (line: string, files: Readonly<Record<string, string>>): Promise<string> => {
      const dir = await project({ Dockerfile: `FROM scratch\n${line}\n`, ...files });
      const { code, stderr } = await farm.kilnBuild([dir, '--progress=plain']);
      expect(code).toBe(1);
      return stderr;
    };
    const parents = await refused('COPY --parents src/man.c /', { 'src/main.c': '' });
    expect(parents).toContain('"/src/man.c": not found');
    expect(parents).toContain('did you mean /src/main.c?');
    expect(parents).toContain('> 2 | COPY --parents src/man.c /');
    const ignored = await refused('COPY --parents a/f /', { 'a/f': '', b: '', '.dockerignore': 'a' });
    expect(ignored).toContain('.dockerignore leaves it out');
    expect(await refused('COPY --link --chown=web f /', { f: '' })).toContain('give numbers');
    expect(await refused('COPY --exclude=[a d /', { 'd/f': '' })).toContain('syntax error in pattern "[a"');
  });
});

describe('files of every kind, from stage to stage', () => {
  it('keep what they are', async () => {
    const dir = await project({ 'tree/plain': 'plain', 'tree/capable': 'capable', '.dockerignore': 'tree' });
    const tree = join(dir, 'tree');
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', join(tree, 'plain')]);
    const raw = '0x0100000200040000000000000000000000000000';
    execFileSync('setfattr', ['-n', 'security.capability', '-v', raw, join(tree, 'capable')]);
    execFileSync('mknod', [join(tree, 'null'), 'c', '1', '3']);
    execFileSync('tar', ['--xattrs', '--xattrs-include=*', '-C', tree, '-cf', join(dir, 't.tar'), '.']);
    const long = 'n'.repeat(240);
    await write(dir, {
      Dockerfile: `FROM box:1 AS made
WORKDIR /m
ADD t.tar .
RUN echo 1 > one && ln one two && mkdir sub empty && ln one sub/three && ln -s ../../../etc up && mkfifo pipe && \\
  echo s > set && chmod 6711 set && chmod 1777 empty && echo n > "$(printf 'caf\\351')" && mkdir -p sub/${long} && \\
  dd if=/dev/zero of=sparse bs=1 count=1 seek=268435455
FROM scratch
COPY --from=made /m /all
COPY --from=made --link /m/sub/three /m/set /some/
COPY --from=made --parents /m/./*o /m/./sub /m/./up /linked/
`,
    });
    const used = (): number => Number(execFileSync('du', ['-sk', farm.dir], { encoding: 'utf8' }).split('\t')[0]);
    const before = used();
    const layout = join(dir, 'layout.tar');
    await farm.build(dir, '-o', `type=oci,dest=${layout}`);
    // Two files of 256 MiB, of holes.
    expect(used() - before).toBeLessThan(64 * 1024);
    const image = await see(`oci-archive:${layout}`, await farm.folder());
    const at = (path: string) => lstat(join(image.root, path));
    const [one, two, three] = await Promise.all(['all/one', 'all/two', 'all/sub/three'].map(at));
    expect([two?.ino, three?.ino, one?.nlink]).toEqual([one?.ino, one?.ino, 3]);
    expect((await at('some/three')).nlink).toBe(1);
    expect(await readlink(join(image.root, 'all/up'))).toBe('../../../etc');
    expect(await readlink(join(image.root, 'linked/up'))).toBe('../../../etc');
    expect((await at('all/pipe')).isFIFO()).toBe(true);
    expect((await at('all/null')).isCharacterDevice()).toBe(true);
    expect((await at('all/sparse')).size).toBe(268_435_456);
    expect(await modeOf(image, 'all/set')).toBe('6711');
    expect(await modeOf(image, 'some/set')).toBe('6711');
    expect(await modeOf(image, 'all/empty')).toBe('1777');
    expect((await at(`all/sub/${long}`)).isDirectory()).toBe(true);
    const names = await readdir(Buffer.from(join(image.root, 'all')), { encoding: 'buffer' });
    expect(names.some((name) => name.equals(Buffer.from('caf\xe9', 'latin1')))).toBe(true);
    const attributes = (path: string): string =>
      execFileSync('getfattr', ['--absolute-names', '-d', '-m', '-', '-e', 'hex', join(image.root, path)], {
        encoding: 'utf8',
      });
    expect(attributes('all/plain')).toContain('user.note=0x6b657074');
    expect(attributes('all/capable')).toContain(`security.capability=${raw}`);
    expect(await list(image, 'linked')).toEqual(['sub/', `sub/${long}/`, 'sub/three', 'two', 'up'].sort());
  });

  it('never leave the root, wherever links point', async () => {
    const dir = await project({
      Dockerfile: `FROM box:1 AS made
RUN mkdir /d && ln -s ../../../../../../../../../etc /d/etc && ln -s /d/etc/passwd /d/file
FROM box:1
RUN ln -s ../../../../../../../../../made /out
COPY --from=made /d/etc/passwd /a/
COPY --from=made /d/file /b
COPY f /out/
COPY --from=made /d/etc/ /c/
`,
      f: 'f',
    });
    const image = await built(dir);
    for (const path of ['a/passwd', 'b', 'c/passwd']) expect(await textIn(image, path)).toContain('web:x:1000');
    expect(await readFile(join(image.root, 'made/f'), 'utf8')).toBe('f');
  });

  it('ADD unpacks or does not, as --unpack says', async () => {
    const dir = await project({
      Dockerfile: 'FROM scratch\nADD --unpack=false t.tar /whole/\nADD --unpack --chmod=700 t.tar /apart/\n',
    });
    await mkdir(join(dir, 'tree'));
    await write(dir, { 'tree/f': 'f', '.dockerignore': 'tree' });
    await chmod(join(dir, 'tree/f'), 0o604);
    execFileSync('tar', ['-C', join(dir, 'tree'), '-cf', join(dir, 't.tar'), 'f']);
    const image = await built(dir);
    expect(await list(image, 'whole')).toEqual(['t.tar']);
    expect(await list(image, 'apart')).toEqual(['f']);
    // Neither an archive's files nor the directory made for them are what --chmod is about.
    expect([await modeOf(image, 'apart'), await modeOf(image, 'apart/f')]).toEqual(['755', '604']);
  });
});

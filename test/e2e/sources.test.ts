import { lstat, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { digestOf } from '#oci';
import { GitServer, tarOf, WebServer } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm, type Metadata } from './farm.ts';
import { see, type SeenImage, textIn } from './image.ts';

let farm: Farm;
let web: WebServer;
let git: GitServer;
beforeAll(async () => {
  web = await WebServer.start();
  git = await GitServer.start();
  farm = await Farm.start({ egressAllow: [web.host, git.host], builder: { KILN_FETCH_MAX_BYTES: '1000000' } });
});
afterAll(async () => {
  await farm[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
  await git[Symbol.asyncDispose]();
});
beforeEach(() => {
  web.seen.length = 0;
});

async function project(dockerfile: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: dockerfile, ...files });
  return dir;
}

type Built = SeenImage & { readonly made: Metadata['kiln.build'] };

async function built(dir: string, ...args: readonly string[]): Promise<Built> {
  const layout = join(await farm.folder(), 'layout.tar');
  const made = await farm.build(dir, '-o', `type=oci,dest=${layout}`, ...args);
  return { ...(await see(`oci-archive:${layout}`, await farm.folder())), made: made['kiln.build'] };
}

async function refused(dir: string, ...args: readonly string[]): Promise<string> {
  const { code, stderr } = await farm.kilnBuild([dir, '--progress=plain', ...args]);
  expect(code).toBe(1);
  return stderr;
}

describe('ADD of a URL', () => {
  it('puts the file where it says, as it says', async () => {
    web.files.set('/hello.txt', { body: 'hello\n', headers: { 'last-modified': 'Sun, 13 Sep 2020 12:26:40 GMT' } });
    const url = web.url('/hello.txt');
    const dir = await project(
      `FROM box:1\nADD ${url} /as-file\nADD ${url} /dir/\nADD --chmod=644 --chown=7:8 ${url} /opt/own\nARG U=${web.url('')}\nADD $U/hello.txt local /mixed/\n`,
      { local: 'l' },
    );
    const { root } = await built(dir);
    expect(await stat(join(root, 'as-file'))).toMatchObject({
      mode: 0o100600,
      uid: 0,
      gid: 0,
      mtimeMs: 1_600_000_000_000,
    });
    expect(await readFile(join(root, 'dir/hello.txt'), 'utf8')).toBe('hello\n');
    expect(await stat(join(root, 'opt/own'))).toMatchObject({ mode: 0o100644, uid: 7, gid: 8 });
    expect(await readFile(join(root, 'mixed/hello.txt'), 'utf8')).toBe('hello\n');
    expect(await readFile(join(root, 'mixed/local'), 'utf8')).toBe('l');
    expect(web.seen.length).toBe(1);
  });

  it('asks whether the file has changed, and moves no bytes when it has not', async () => {
    web.files.set('/asked', { body: 'one' });
    const dir = await project(`FROM scratch\nADD ${web.url('/asked')} /f\n`);
    expect((await built(dir)).made.bytes.pulled).toBe(3);
    const before = web.sentBytes;
    const again = await built(dir);
    expect(again.made.steps).toMatchObject({ hit: 1, run: 0 });
    expect(again.made.bytes.pulled).toBe(0);
    expect(web.seen.map(({ status }) => status)).toEqual([200, 304]);
    expect(web.sentBytes).toBe(before);
    web.files.set('/asked', { body: 'other' });
    const changed = await built(dir);
    expect(changed.made.steps).toMatchObject({ run: 1 });
    expect(await textIn(changed, 'f')).toBe('other');
  });

  it('asks nobody for what it knows by its checksum', async () => {
    web.files.set('/known', { body: 'known' });
    const checksum = digestOf('known');
    const dir = await project(`FROM scratch\nADD --checksum=${checksum} ${web.url('/known')} /f\n`);
    await built(dir);
    web.seen.length = 0;
    expect((await built(dir)).made.steps).toMatchObject({ hit: 1, run: 0 });
    const elsewhere = await project(`FROM scratch\nADD --checksum=${checksum} ${web.url('/mirror/known')} /g\n`);
    expect(await textIn(await built(elsewhere), 'g')).toBe('known');
    expect(web.seen).toEqual([]);
    const wrong = await project(`FROM scratch\n\nADD --checksum=${digestOf('x')} ${web.url('/known')} /f\n`);
    const message = await refused(wrong);
    expect(message).toContain(`it is ${checksum}, and --checksum says ${digestOf('x')}`);
    expect(message).toContain('> 3 | ADD');
  });

  it('unpacks where that is asked for, and nothing outside of its root', async () => {
    const tar = await tarOf({ name: '../../escaped', text: 'no' }, { name: 'in/side', text: 'yes' });
    web.files.set('/evil.tgz', { body: gzipSync(tar) });
    const url = web.url('/evil.tgz');
    const packed = await built(await project(`FROM scratch\nADD ${url} /d/\n`));
    expect((await lstat(join(packed.root, 'd/evil.tgz'))).isFile()).toBe(true);
    const dir = await project(`FROM scratch\nADD --unpack=true ${url} /d/\n`);
    const { code } = await farm.cli(['build', dir]).ended;
    if (code === 0) {
      const unpacked = await built(dir);
      expect(await textIn(unpacked, 'd/in/side')).toBe('yes');
    }
    for (const path of [farm.dir, '/', '/var/tmp', '/var']) {
      expect(await lstat(join(path, 'escaped')).catch(() => undefined), path).toBeUndefined();
    }
  });

  it('fails by name, with the line and what to do', async () => {
    const gone = await refused(await project(`FROM scratch\nADD ${web.url('/gone').replace('//', '//me:pw@')} /f\n`));
    expect(gone).toContain(`${web.url('/gone')}: the server answered 404`);
    expect(gone).toContain('> 2 | ADD');
    web.files.set('/meta', { body: '', status: 302, headers: { location: 'http://169.254.169.254/latest/' } });
    for (const url of [web.url('/meta'), 'http://127.0.0.1:1/x', `http://${farm.url.split('//')[1]}/healthz`]) {
      expect(await refused(await project(`FROM scratch\nADD ${url} /f\n`)), url).toMatch(/loopback or private address/);
    }
    web.files.set('/huge', { body: Buffer.alloc(1_000_001) });
    expect(await refused(await project(`FROM scratch\nADD ${web.url('/huge')} /f\n`))).toMatch(
      /larger than 1000000 bytes/,
    );
  });
});

describe('ADD of a git repository', () => {
  it('puts a commit’s files there, and hits without fetching them again', async () => {
    const commit = await git.commit('app', { a: 'one', 'sub/b': 'b', link: { link: 'a' } });
    const dir = await project(
      `FROM scratch\nADD ${git.url('app')} /app\nADD ${git.url('app')}#main:sub /sub/\nADD --checksum=${commit} ${git.url('app')}#main /sum/\n`,
    );
    const first = await built(dir);
    expect(await textIn(first, 'app/a')).toBe('one');
    expect(await textIn(first, 'sub/b')).toBe('b');
    expect(await stat(join(first.root, 'app/sub/b'))).toMatchObject({ mode: 0o100644, uid: 0, gid: 0 });
    git.seen.length = 0;
    const again = await built(dir);
    expect(again.made.steps).toMatchObject({ hit: 3, run: 0 });
    // Two requests for each ref: nothing but what it stands for was asked.
    expect(git.seen.length).toBe(6);
  });

  it('runs again for a new commit only where its files have changed', async () => {
    await git.commit('split', { 'one/a': '1', 'two/b': '1' });
    const url = git.url('split');
    const dir = await project(`FROM scratch\nADD ${url}#:one /one/\nADD ${url}#:two /two/\n`);
    await built(dir);
    await git.commit('split', { 'two/b': '2' });
    const again = await built(dir);
    expect(again.made.steps).toMatchObject({ hit: 1, run: 1 });
    expect(await textIn(again, 'two/b')).toBe('2');
  });

  it('is private where its build has the secret', async () => {
    await git.commit('private', { a: 'private' });
    git.authorization = `basic ${Buffer.from('x-access-token:t0ken').toString('base64')}`;
    try {
      const dir = await project(`FROM scratch\nADD ${git.url('private')} /p\n`);
      expect(await refused(dir)).toMatch(/GIT_AUTH_TOKEN/);
    } finally {
      git.authorization = undefined;
    }
  });

  it('fails where a submodule is at a private address', async () => {
    await git.commit('evil', { '.gitmodules': '[submodule "m"]\n path = m\n url = http://10.0.0.1/x.git\n' });
    await git.git('evil', 'update-index', '--add', '--cacheinfo', `160000,${'a'.repeat(40)},m`);
    await git.publish('evil');
    const message = await refused(await project(`FROM scratch\nADD ${git.url('evil')} /e\n`));
    expect(message).toMatch(/10\.0\.0\.1.* is at a loopback or private address/);
  });
});

describe('a build of what is elsewhere', () => {
  it('is of a git repository, .dockerignore applied', async () => {
    await git.commit('whole', {
      Dockerfile: 'FROM scratch\nCOPY . /all/\n',
      'build/Dockerfile': 'FROM scratch\nCOPY . /sub/\n',
      '.dockerignore': 'ignored\n',
      kept: 'k',
      ignored: 'i',
    });
    const whole = await built(git.url('whole'));
    expect(await textIn(whole, 'all/kept')).toBe('k');
    expect(await lstat(join(whole.root, 'all/ignored')).catch(() => undefined)).toBeUndefined();
    expect((await built(git.url('whole'))).made.steps).toMatchObject({ hit: 1, run: 0 });
    expect(await textIn(await built(`${git.url('whole')}#main:build`), 'sub/Dockerfile')).toContain('/sub/');
    expect(await textIn(await built(git.url('whole'), '-f', 'build/Dockerfile'), 'sub/kept')).toBe('k');
  });

  it('is of an archive, or of a Dockerfile alone', async () => {
    const tar = await tarOf({ name: 'Dockerfile', text: 'FROM scratch\nCOPY f /f\n' }, { name: 'f', text: 'file' });
    web.files.set('/context.tgz', { body: gzipSync(tar) });
    expect(await textIn(await built(web.url('/context.tgz')), 'f')).toBe('file');
    web.files.set('/Dockerfile', { body: 'FROM scratch\nCOPY <<EOF /made\nmade\nEOF\n' });
    expect(await textIn(await built(web.url('/Dockerfile')), 'made')).toBe('made\n');
    expect(await refused(web.url('/nothing'))).toContain('the server answered 404');
  });
});

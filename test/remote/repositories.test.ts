import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TreeEntry } from '#content';
import { type EgressPolicy } from '#registry';
import { EgressProxy, type GitAccess, type GitLimits, GitRepositories, type GitRequest } from '#remote';
import { collect, KilnError, systemClock } from '#std';
import { GitServer, MemoryContentStore } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

let server: GitServer;
let dir: string;
beforeAll(async () => {
  server = await GitServer.start();
  dir = await mkdtemp('/var/tmp/kiln-git-test-');
  // As of a builder: git runs as nobody and has to be able to pass.
  await chmod(dir, 0o711);
  await server.commit('plain', { a: 'plain' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});
beforeEach(() => {
  server.dumb = false;
  server.authorization = undefined;
  server.seen.length = 0;
});

/** expect's own matchers are of any type. */
const containing = (text: string): unknown => expect.stringContaining(text);

const signal = AbortSignal.timeout(150_000);
const nothing: GitAccess = {
  secret: () => undefined,
  agent: () => Promise.reject(new KilnError('STEP_FAILED', 'no agent', { hint: 'pass --ssh default' })),
};
const secrets = (secret: GitAccess['secret']): GitAccess => ({ ...nothing, secret });
const limits: GitLimits = { maxBytes: 100_000_000, maxFiles: 10_000, timeoutMs: 60_000 };

interface Tried {
  readonly ref?: string;
  readonly checksum?: string;
  readonly request?: Partial<GitRequest>;
  readonly access?: GitAccess;
  readonly limits?: Partial<GitLimits>;
  readonly egress?: EgressPolicy;
}

interface Seen {
  readonly files: Readonly<Record<string, string>>;
  readonly entries: readonly TreeEntry[];
  readonly commit: string;
}

async function read(remote: string, tried: Tried = {}): Promise<Seen> {
  const content = new MemoryContentStore();
  await using proxy = await EgressProxy.start({ egress: tried.egress ?? { allow: [server.host] } });
  const repositories = await GitRepositories.open({
    dir: join(dir, 'work'),
    proxy,
    content,
    clock: systemClock,
    limits: { ...limits, ...tried.limits },
    path: process.env['PATH'] ?? '',
  });
  const { access = nothing, ref = '', checksum = '' } = tried;
  const { commit, ref: name } = await repositories.resolve({ remote, ref, checksum }, access, signal);
  const request = { remote, ref: name, commit, subdir: '', keepGitDir: false, submodules: true, ...tried.request };
  const { entries } = await repositories.fetch(request, access, signal);
  expect(await readdir(join(dir, 'work'))).toEqual([]);
  const files: Record<string, string> = {};
  for (const { path, digest, type, link } of entries) {
    if (type === 'symlink') files[path] = `-> ${link}`;
    else if (digest !== undefined) files[path] = (await collect(content.get(digest), 1_000_000)).toString();
  }
  return { files, entries, commit };
}

const failure = async (...args: Parameters<typeof read>): Promise<unknown> =>
  read(...args).catch((thrown: unknown) => thrown);

/** A tree that git itself would refuse to make of files. */
async function mktree(name: string, listing: string): Promise<string> {
  const child = spawn('git', ['-C', join(server.dir, 'work', name), 'mktree']);
  child.stdin.end(listing);
  return (await collect(child.stdout as AsyncIterable<Uint8Array>, 1_000)).toString().trim();
}

describe('a git repository', () => {
  it('gives the files of a branch, a tag, a commit, a directory', async () => {
    const first = await server.commit('plain', { a: 'one', 'sub/b': 'b', 'sub/deep/c': 'c', link: { link: 'a' } });
    await server.git('plain', 'tag', '-a', '-m', 'tag', 'v1');
    await server.git('plain', 'push', '--quiet', join(server.dir, 'bare/plain.git'), 'v1');
    const second = await server.commit('plain', { a: 'two' });
    const url = server.url('plain');
    expect(await read(url)).toMatchObject({ commit: second, files: { a: 'two', link: '-> a', 'sub/b': 'b' } });
    expect(await read(url, { ref: 'main' })).toMatchObject({ commit: second });
    expect(await read(url, { ref: 'v1' })).toMatchObject({ commit: first, files: { a: 'one' } });
    expect(await read(url, { ref: first })).toMatchObject({ commit: first, files: { a: 'one' } });
    expect((await read(url, { request: { subdir: 'sub' } })).files).toEqual({ b: 'b', 'deep/c': 'c' });
  });

  it('has owner 0:0, usual modes, and the time of its commit', async () => {
    await server.commit('modes', { run: '#!/bin/sh\n', text: 't', 'd/x': 'x' });
    await server.git('modes', 'update-index', '--chmod=+x', 'run');
    await server.publish('modes');
    const { entries } = await read(server.url('modes'));
    expect(entries.map(({ path, mode, uid, gid }) => [path, mode.toString(8), uid, gid])).toEqual([
      ['d', '755', 0, 0],
      ['d/x', '644', 0, 0],
      ['run', '755', 0, 0],
      ['text', '644', 0, 0],
    ]);
    const time = Number(await server.git('modes', 'log', '-1', '--format=%ct'));
    expect(new Set(entries.map(({ mtime }) => mtime))).toEqual(new Set([time]));
  });

  it('is read as a checkout would be: attributes hold, exports’ do not', async () => {
    await server.commit('attributes', {
      '.gitattributes': '*.bat eol=crlf\nhidden export-ignore\nsubst export-subst\n*.bin filter=lfs diff=lfs -text\n',
      'large.bin': 'version https://git-lfs.github.com/spec/v1\n',
      'x.bat': 'a\nb\n',
      hidden: 'h',
      subst: '$Format:%H$',
    });
    const { files } = await read(server.url('attributes'));
    expect(files).toMatchObject({
      'x.bat': 'a\r\nb\r\n',
      hidden: 'h',
      subst: '$Format:%H$',
      'large.bin': 'version https://git-lfs.github.com/spec/v1\n',
    });
  });

  it('comes from a server that has files alone', async () => {
    const first = await server.commit('dumb', { a: '1' });
    const second = await server.commit('dumb', { a: '2' });
    server.dumb = true;
    expect(await read(server.url('dumb'), { ref: 'main' })).toMatchObject({ commit: second, files: { a: '2' } });
    expect(await read(server.url('dumb'), { ref: first })).toMatchObject({ commit: first, files: { a: '1' } });
  });

  it('keeps .git where that is asked for, with nothing of this machine in it', async () => {
    const commit = await server.commit('kept', { a: 'a' });
    const { files } = await read(server.url('kept').replace('//', '//me:secret@'), {
      ref: 'main',
      request: { keepGitDir: true },
    });
    expect(files['.git/HEAD']).toContain(commit);
    expect(files['.git/refs/heads/main']).toContain(commit);
    expect(files['.git/config']).toContain(`url = ${server.url('kept')}`);
    expect(JSON.stringify(files)).not.toMatch(/secret|kiln-git-test|127\.0\.0\.1:\d+@/);
    expect(files['.git/index']).toBeDefined();
  });

  it('brings its submodules, but where that is not wanted', async () => {
    const inner = await server.commit('inner', { i: 'inner' });
    await server.commit('outer', { o: 'outer', '.gitmodules': '[submodule "m"]\n path = d/m\n url = ../inner.git\n' });
    await server.git('outer', 'update-index', '--add', '--cacheinfo', `160000,${inner},d/m`);
    await server.publish('outer');
    const url = server.url('outer');
    expect((await read(url)).files).toMatchObject({ o: 'outer', 'd/m/i': 'inner' });
    expect((await read(url, { request: { subdir: 'd' } })).files).toEqual({ 'm/i': 'inner' });
    expect((await read(url, { request: { submodules: false } })).files).not.toHaveProperty('d/m/i');
  });

  it('is private where it says so', async () => {
    await server.commit('private', { a: 'a' });
    server.authorization = `basic ${Buffer.from('x-access-token:t0ken').toString('base64')}`;
    const url = server.url('private');
    expect(await failure(url)).toMatchObject({ code: 'STEP_FAILED', hint: containing('GIT_AUTH_TOKEN') });
    const wrong = await failure(url, {
      access: secrets((id) => (id === 'GIT_AUTH_TOKEN' ? 'wr0ng' : undefined)),
    });
    expect(wrong).toMatchObject({ code: 'STEP_FAILED' });
    expect(String(wrong)).not.toContain('wr0ng');
    expect(
      (await read(url, { access: secrets((id) => (id === 'GIT_AUTH_TOKEN' ? 't0ken' : undefined)) })).files,
    ).toEqual({
      a: 'a',
    });
    const byHost = secrets((id) => (id === `GIT_AUTH_HEADER.${server.host}` ? server.authorization : undefined));
    expect((await read(url, { access: byHost })).files).toEqual({ a: 'a' });
  });

  it('says what is missing', async () => {
    await server.commit('plainer', { a: 'a', 'dir/b': 'b', link: { link: 'dir' } });
    const url = server.url('plainer');
    expect(await failure(server.url('none'))).toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    expect(await failure(url, { ref: 'nobranch' })).toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    expect(await failure(url, { ref: 'f'.repeat(40) })).toMatchObject({
      code: 'SOURCE_NOT_FOUND',
      message: containing(`does not give the commit ${'f'.repeat(40)}`),
    });
    expect(await failure(url, { checksum: 'ffff' })).toMatchObject({
      message: containing('checksum mismatch'),
    });
    for (const subdir of ['nothing', 'a', 'link', 'link/b', '../x']) {
      expect(await failure(url, { request: { subdir } }), subdir).toMatchObject({
        code: 'SOURCE_NOT_FOUND',
        message: containing('there is no directory'),
      });
    }
    const away = await failure('http://127.0.0.1:1/x.git', { egress: { allow: ['127.0.0.1'] } });
    expect(away).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  });
});

describe('what a git repository may not do', () => {
  it('be at a private address, itself or its submodules, or where it redirects', async () => {
    const closed = { allow: [] };
    expect(await failure(server.url('plain'), { egress: closed })).toMatchObject({
      message: containing('loopback or private address'),
      hint: containing('KILN_EGRESS_ALLOW'),
    });
    await using hidden = await GitServer.start();
    const secret = await hidden.commit('secret', { s: 'secret' });
    const modules = `[submodule "m"]\n path = m\n url = ${hidden.url('secret')}\n`;
    await server.commit('evil', { '.gitmodules': modules });
    await server.git('evil', 'update-index', '--add', '--cacheinfo', `160000,${secret},m`);
    await server.publish('evil');
    hidden.seen.length = 0;
    expect(await failure(server.url('evil'))).toMatchObject({
      message: containing(`${hidden.url('secret')} is at a loopback or private address`),
    });
    expect(hidden.seen).toEqual([]);
  });

  it('make git run something, or read this machine’s files', async () => {
    const { commit } = await read(server.url('plain'));
    for (const url of [
      'file:///etc',
      `ext::sh -c "touch ${dir}/ran"`,
      join(server.dir, 'bare/plain.git'),
      'ssh://127.0.0.1/x',
    ]) {
      await server.commit('runner', {
        '.gitmodules': `[submodule "m"]\n path = m\n url = "${url.replaceAll('"', '\\"')}"\n`,
      });
      await server.git('runner', 'update-index', '--add', '--cacheinfo', `160000,${commit},m`);
      await server.publish('runner');
      expect(await failure(server.url('runner')), url).toMatchObject({ code: 'STEP_FAILED' });
    }
    expect(await readdir(dir)).toEqual(['work']);
  });

  it('have more than it is given', async () => {
    await server.commit('many', Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`f${index}`, 'x'])));
    expect(await failure(server.url('many'), { limits: { maxFiles: 20 } })).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await server.commit('noise', { f: randomBytes(400_000).toString('base64') });
    expect(await failure(server.url('noise'), { limits: { maxBytes: 100_000 } })).toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
    await server.commit('large', { f: 'x'.repeat(500_000) });
    expect(await failure(server.url('large'), { limits: { maxBytes: 100_000 } })).toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
  });

  it('have names that lead out of its root', async () => {
    const blob = (await server.git('plain', 'hash-object', '-w', 'a')).trim();
    await server.git('plain', 'read-tree', '--empty');
    const tree = await mktree('plain', `100644 blob ${blob}\t..\n`);
    const commit = (await server.git('plain', 'commit-tree', '-m', 'evil', tree)).trim();
    await server.git(
      'plain',
      'push',
      '--quiet',
      '--force',
      join(server.dir, 'bare/plain.git'),
      `${commit}:refs/heads/evil`,
    );
    expect(await failure(server.url('plain'), { ref: 'evil' })).toMatchObject({ code: 'STEP_FAILED' });
  });
});

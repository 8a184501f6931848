import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { EgressProxy, type GitAccess, GitRepositories, UNPRIVILEGED_ID } from '#remote';
import { collect, KilnError, systemClock } from '#std';
import { GitDaemon, GitServer, MemoryContentStore, SshServer } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const signal = AbortSignal.timeout(150_000);
/** expect's own matchers are of any type. */
const containing = (text: string): unknown => expect.stringContaining(text);

let web: GitServer;
let ssh: SshServer;
let daemon: GitDaemon;
let dir: string;
let agent: ChildProcess;
let socket: string;

beforeAll(async () => {
  web = await GitServer.start();
  ssh = await SshServer.start();
  await mkdir(join(web.dir, 'bare'));
  daemon = await GitDaemon.start(join(web.dir, 'bare'));
  dir = await mkdtemp('/var/tmp/kiln-git-ssh-test-');
  await chmod(dir, 0o711);
  socket = join(dir, 'agent');
  // Before the agent starts: it makes its socket there.
  await chown(dir, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
  agent = spawn('ssh-agent', ['-D', '-a', socket], { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID, stdio: 'ignore' });
  const add = () => run('ssh-add', ['-q', ssh.userKey], { env: { SSH_AUTH_SOCK: socket } });
  for (let tries = 0; tries < 100; tries++) {
    const added = await add().catch(() => undefined);
    if (added !== undefined) break;
    await delay(50);
  }
  await add();
  await chown(dir, 0, 0);
});
afterAll(async () => {
  agent.kill();
  if (agent.exitCode === null && agent.signalCode === null) await once(agent, 'exit');
  await daemon[Symbol.asyncDispose]();
  await ssh[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

interface Tried {
  readonly access?: GitAccess;
  readonly knownHosts?: string;
  readonly egress?: readonly string[];
  readonly keepGitDir?: boolean;
}

const lent = (secrets: Readonly<Record<string, string>> = {}, lost = new AbortController().signal): GitAccess => ({
  secret: (id) => secrets[id],
  agent: async () => ({ path: socket, lost, [Symbol.asyncDispose]: async () => {} }),
});
const nothing: GitAccess = {
  secret: () => undefined,
  agent: () => Promise.reject(new KilnError('STEP_FAILED', 'no ssh agent', { hint: 'pass --ssh default' })),
};

async function read(remote: string, tried: Tried = {}): Promise<Readonly<Record<string, string>>> {
  const { access = lent(), knownHosts, keepGitDir = false, egress = [ssh.host, daemon.host, web.host] } = tried;
  const content = new MemoryContentStore();
  await using proxy = await EgressProxy.start({ egress: { allow: egress } });
  const repositories = await GitRepositories.open({
    dir: join(dir, 'work'),
    proxy,
    content,
    clock: systemClock,
    limits: { maxBytes: 100_000_000, maxFiles: 10_000, timeoutMs: 60_000 },
    path: process.env['PATH'] ?? '',
    knownHosts,
  });
  const { commit, ref } = await repositories.resolve({ remote, ref: '', checksum: '' }, access, signal);
  const request = { remote, ref, commit, subdir: '', keepGitDir, submodules: true };
  const { entries } = await repositories.fetch(request, access, signal);
  expect(await readdir(join(dir, 'work'))).toEqual([]);
  const files: Record<string, string> = {};
  for (const { path, digest } of entries) {
    if (digest !== undefined) files[path] = (await collect(content.get(digest), 1_000_000)).toString();
  }
  return files;
}

const failure = async (...args: Parameters<typeof read>): Promise<unknown> =>
  read(...args).catch((thrown: unknown) => thrown);
const bare = (name: string): string => join(web.dir, 'bare', `${name}.git`);

/** A repository with a submodule at `url`. */
async function outer(name: string, url: string, commit: string): Promise<void> {
  await web.commit(name, { o: 'outer', '.gitmodules': `[submodule "m"]\n path = m\n url = ${url}\n` });
  await web.git(name, 'update-index', '--add', '--cacheinfo', `160000,${commit},m`);
  await web.publish(name);
}

describe('a repository by ssh', () => {
  it('is read with the client’s agent from a host whose key is known, submodules beside it too', async () => {
    const inner = await web.commit('inner', { i: 'inner' });
    await outer('outer', '../inner.git', inner);
    const knownHosts = await ssh.knownHosts();
    const files = { o: 'outer', 'm/i': 'inner' };
    expect(await read(ssh.url(bare('outer')), { knownHosts })).toMatchObject(files);
    const access = lent({ GIT_SSH_KNOWN_HOSTS: knownHosts });
    expect(await read(ssh.url(bare('outer')), { access })).toMatchObject(files);
    const kept = await read(ssh.url(bare('inner')), { knownHosts, keepGitDir: true });
    expect(kept['.git/config']).toContain(`url = ${ssh.url(bare('inner'))}`);
    expect(JSON.stringify(kept)).not.toContain(dir);
  });

  it('needs an agent, one that the host believes, and a host that is the right one', async () => {
    await web.commit('plain', { a: 'a' });
    const url = ssh.url(bare('plain'));
    const knownHosts = await ssh.knownHosts();
    expect(await failure(url, { access: nothing, knownHosts })).toMatchObject({
      code: 'STEP_FAILED',
      message: containing('is read by ssh: no ssh agent'),
      hint: containing('--ssh default'),
    });
    expect(await failure(url)).toMatchObject({
      code: 'STEP_FAILED',
      message: containing('the key of its host is not known'),
      hint: containing('id=GIT_SSH_KNOWN_HOSTS'),
    });
    const wrong = (await ssh.knownHosts()).replace(
      /ssh-ed25519 .*/,
      'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf',
    );
    expect(await failure(url, { knownHosts: wrong })).toMatchObject({ message: containing('has another key') });
    expect(await failure(url.replace('root@', 'nobody@'), { knownHosts })).toMatchObject({
      code: 'STEP_FAILED',
      message: containing('access is refused to the keys of the ssh agent'),
    });
    expect(await failure(ssh.url(bare('none')), { knownHosts })).toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    const left = AbortSignal.abort(new KilnError('STEP_FAILED', 'the client has left'));
    expect(await failure(url, { access: lent({}, left), knownHosts })).toMatchObject({
      message: 'the client has left',
    });
  });

  it('is not at a private address, nor at one that does not answer', async () => {
    const knownHosts = await ssh.knownHosts();
    expect(await failure(ssh.url(bare('plain')), { knownHosts, egress: [] })).toMatchObject({
      message: containing('loopback or private address'),
      hint: containing(`KILN_EGRESS_ALLOW=${ssh.host}`),
    });
    expect(await failure('git@127.0.0.1:x.git')).toMatchObject({ message: containing('loopback or private address') });
    expect(await failure('ssh://git@127.0.0.1:1/x', { egress: ['127.0.0.1'] })).toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
      message: containing('ECONNREFUSED'),
    });
  });

  it('may be a submodule of one that is not', async () => {
    const inner = await web.commit('inner', { i: 'inner' });
    await outer('mixed', ssh.url(bare('inner')), inner);
    expect(await failure(web.url('mixed'), { access: nothing })).toMatchObject({ hint: containing('--ssh default') });
    expect(await read(web.url('mixed'), { knownHosts: await ssh.knownHosts() })).toMatchObject({ 'm/i': 'inner' });
  });
});

describe('a repository by git://', () => {
  it('is read without any agent, submodules too', async () => {
    const inner = await web.commit('inner', { i: 'inner' });
    await outer('outer', '../inner.git', inner);
    expect(await read(daemon.url('outer'), { access: nothing })).toMatchObject({ o: 'outer', 'm/i': 'inner' });
    const kept = await read(daemon.url('inner'), { access: nothing, keepGitDir: true });
    expect(kept['.git/config']).toContain(`url = ${daemon.url('inner')}`);
  });

  it('says what is missing, and is not at a private address', async () => {
    expect(await failure(daemon.url('none'))).toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    expect(await failure(daemon.url('outer'), { egress: [] })).toMatchObject({
      message: containing('loopback or private address'),
    });
    expect(await failure('git://127.0.0.1:1/x', { egress: ['127.0.0.1'] })).toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
    });
  });
});

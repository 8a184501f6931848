import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GitDaemon, GitServer, SshServer, tarOf, WebServer } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { see, type SeenImage, textIn } from './image.ts';

let farm: Farm;
let web: WebServer;
let git: GitServer;
let ssh: SshServer;
let daemon: GitDaemon;
let knownHosts: string;
const held = new AsyncDisposableStack();
beforeAll(async () => {
  web = held.use(await WebServer.start());
  git = held.use(await GitServer.start());
  ssh = held.use(await SshServer.start());
  await mkdir(join(git.dir, 'bare'));
  daemon = held.use(await GitDaemon.start(join(git.dir, 'bare')));
  farm = held.use(await Farm.start({ egressAllow: [web.host, git.host, ssh.host, daemon.host] }));
  knownHosts = join(await farm.folder(), 'known_hosts');
  await writeFile(knownHosts, await ssh.knownHosts());
});
afterAll(() => held.disposeAsync());

const bySsh = (name: string): string => ssh.url(join(git.dir, 'bare', `${name}.git`));
const lent = (): readonly string[] => [
  ...['--ssh', `default=${ssh.userKey}`],
  ...['--secret', `id=GIT_SSH_KNOWN_HOSTS,src=${knownHosts}`],
];

async function built(context: string, ...args: readonly string[]): Promise<SeenImage> {
  const layout = join(await farm.folder(), 'layout.tar');
  await farm.build(context, '-o', `type=oci,dest=${layout}`, ...args);
  return await see(`oci-archive:${layout}`, await farm.folder());
}

async function project(dockerfile: string): Promise<string> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: dockerfile });
  return dir;
}

async function refused(dir: string, ...args: readonly string[]): Promise<string> {
  const { code, stderr } = await farm.kilnBuild([dir, '--progress=plain', ...args]);
  expect(code).toBe(1);
  return stderr;
}

describe('a git repository by ssh', () => {
  it('is a context, a named context, and what ADD adds', async () => {
    await git.commit('app', { Dockerfile: 'FROM scratch\nCOPY f /\n', f: 'of the repository' });
    expect(await textIn(await built(bySsh('app'), ...lent()), 'f')).toBe('of the repository');
    const dir = await project(`FROM scratch\nADD ${bySsh('app')} /added/\nCOPY --from=named f /named\n`);
    const image = await built(dir, ...lent(), '--build-context', `named=${bySsh('app')}#main`);
    expect(await textIn(image, 'added/f')).toBe('of the repository');
    expect(await textIn(image, 'named')).toBe('of the repository');
  });

  it('is refused by name without an agent, or with a host that nobody knows', async () => {
    const dir = await project(`FROM scratch\nADD ${bySsh('app')}#refused /a/\n`);
    const without = await refused(dir);
    expect(without).toContain(`the git repository ${bySsh('app')} is read by ssh: no ssh agent "default" is forwarded`);
    expect(without).toContain('pass --ssh default');
    const unknown = await refused(dir, '--ssh', `default=${ssh.userKey}`);
    expect(unknown).toContain('the key of its host is not known');
    expect(unknown).toContain('--secret id=GIT_SSH_KNOWN_HOSTS');
    const own = await farm.cli(['build', bySsh('app')], { env: { SSH_AUTH_SOCK: '' } }).ended;
    expect([own.code, own.stderr.includes('SSH_AUTH_SOCK is not set')]).toEqual([2, true]);
  });
});

it('a git repository by git:// is a context, and what ADD adds', async () => {
  await git.commit('open', { Dockerfile: `FROM scratch\nADD ${daemon.url('open')} /added/\n`, f: 'open' });
  expect(await textIn(await built(daemon.url('open')), 'added/f')).toBe('open');
});

describe('SOURCE_DATE_EPOCH of a source', () => {
  it('is the commit’s time, of the context or of a stage', async () => {
    const dockerfile = 'FROM box:1\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH > /epoch\n';
    await git.commit('timed', { Dockerfile: dockerfile });
    const time = (await git.git('timed', 'log', '-1', '--format=%ct')).trim();
    const ofContext = await built(git.url('timed'), '--build-arg', 'SOURCE_DATE_EPOCH=context');
    expect(await textIn(ofContext, 'epoch')).toBe(`${time}\n`);
    const dir = await project(`FROM scratch AS src\nADD ${git.url('timed')} /\n${dockerfile}`);
    const ofStage = await built(dir, '--build-arg', 'SOURCE_DATE_EPOCH=src');
    expect(await textIn(ofStage, 'epoch')).toBe(`${time}\n`);
  });

  it('is Last-Modified, else the newest file of an archive', async () => {
    const tar = await tarOf(
      { name: 'Dockerfile', text: 'FROM box:1\nARG SOURCE_DATE_EPOCH\nRUN echo "$SOURCE_DATE_EPOCH" > /epoch\n' },
      { name: 'old', text: 'x' },
    );
    web.files.set('/dated.tar', { body: tar, headers: { 'last-modified': 'Sun, 13 Sep 2020 12:26:40 GMT' } });
    const epoch = ['--build-arg', 'SOURCE_DATE_EPOCH=context'];
    expect(await textIn(await built(web.url('/dated.tar'), ...epoch), 'epoch')).toBe('1600000000\n');
    web.files.set('/undated.tar', { body: tar });
    expect(await textIn(await built(web.url('/undated.tar'), ...epoch), 'epoch')).toMatch(/^\d+\n$/);
    const local = await project('FROM box:1\nARG SOURCE_DATE_EPOCH\nRUN echo "<$SOURCE_DATE_EPOCH>" > /epoch\n');
    expect(await textIn(await built(local, ...epoch), 'epoch')).toBe('<>\n');
  });

  it('of the Dockerfile holds for files too', async () => {
    const dir = await project('ARG SOURCE_DATE_EPOCH=1500000000\nFROM scratch\nCOPY Dockerfile /f\n');
    const out = await farm.folder();
    await farm.build(dir, '-o', `type=local,dest=${out}`);
    expect((await stat(join(out, 'f'))).mtimeMs).toBe(1_500_000_000_000);
  });
});

describe('what a build says', () => {
  it('of a device that no builder has', async () => {
    const optional = await project('FROM box:1\nRUN --device=vendor.com/gpu=all echo ran > /ran\n');
    expect(await textIn(await built(optional, '--allow', 'device'), 'ran')).toBe('ran\n');
    const message = await refused(await project('FROM box:1\nRUN --device=vendor.com/gpu=all,required true\n'));
    expect(message).toContain('required device "vendor.com/gpu=all" is not registered');
    expect(message).toContain('> 2 | RUN --device');
  });

  it('of why a step runs, as it starts, by the flag that asked for it', async () => {
    const dir = await project('FROM box:1 AS one\nRUN echo said\n');
    const { stderr } = await farm.cli(['build', dir, '--progress=plain', '--no-cache-filter=one']).ended;
    expect(stderr).toMatch(/miss: --no-cache-filter one\n#\d+ [\d.]+ said\n/);
  });

  it('of a platform that there is not, before anything is sent', async () => {
    const dir = await project('FROM box:1\n');
    const { code, stderr } = await farm.cli(['build', dir, '--platform', 'linux/foo']).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(/unknown architecture "foo" in the platform linux\/foo[\s\S]*there are: .*arm64/);
  });

  it('of a URL with an escape that is none', async () => {
    const message = await refused(await project('FROM scratch\nADD https://%zz@host.example/f /\n'));
    expect(message).toContain('has a % that begins no escape');
    expect(message).not.toContain('an error of the farm');
  });
});

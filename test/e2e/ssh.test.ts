import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { WebSocket } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Permission, ProjectStore, TokenStore } from '#storage';
import { write } from './context.ts';
import { Farm, type RunningCli } from './farm.ts';
import { see } from './image.ts';

const run = promisify(execFile);
let farm: Farm;
let dir: string;
let key: string;

beforeAll(async () => {
  farm = await Farm.start();
  dir = await farm.folder();
  await putTools(join(dir, 'tools'));
  key = join(await farm.folder(), 'id');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'of-the-client', '-f', key]);
  await copyFile(`${key}.pub`, join(dir, 'id.pub'));
});
afterAll(() => farm[Symbol.asyncDispose]());

/** The node's own ssh-add and ssh-keygen with what they load, for steps. */
async function putTools(root: string): Promise<void> {
  for (const name of ['ssh-add', 'ssh-keygen']) {
    const program = `/usr/bin/${name}`;
    const { stdout } = await run('ldd', [program]);
    const libraries = [...stdout.matchAll(/(?:=> )?(\/\S+) \(/g)].map(([, path]) => path ?? '');
    for (const path of [program, ...libraries]) {
      await mkdir(join(root, dirname(path)), { recursive: true });
      await copyFile(path, join(root, path));
      await chmod(join(root, path), 0o755);
    }
  }
}

const dockerfile = (command: string, flags = ''): Readonly<Record<string, string>> => ({
  Dockerfile: `FROM box:1\nCOPY tools /\nCOPY id.pub /id.pub\nRUN --mount=type=ssh${flags} ${command}\n`,
});

/** A command line that the test lets run; `args` go before the context. */
async function build(files: Readonly<Record<string, string>>, args: readonly string[], env = {}): Promise<RunningCli> {
  await write(dir, files);
  return farm.cli(['build', dir, '--no-cache', '--progress', 'plain', ...args], { env });
}

it('a step lists keys and signs by the client’s agent, and does nothing else with it', async () => {
  const layout = join(await farm.folder(), 'layout.tar');
  const command = `set -e; ssh-add -L > /keys; echo data > /data; ssh-keygen -q -Y sign -f /id.pub -n file /data; ssh-add -D 2> /refused || true; stat -c '%a %u %F' $SSH_AUTH_SOCK > /socket; ssh-add -L | cmp - /keys`;
  const { code, stderr } = await (
    await build(dockerfile(command), ['--ssh', `default=${key}`, '-o', `type=oci,dest=${layout}`])
  ).ended;
  if (code !== 0) throw new Error(stderr);
  const { root } = await see(`oci-archive:${layout}`, await farm.folder());
  const text = (path: string): string => execFileSync('cat', [join(root, path)]).toString();
  expect(text('keys')).toBe(execFileSync('cat', [`${key}.pub`]).toString());
  expect(text('refused')).toContain('Failed');
  expect(text('socket')).toBe('600 0 socket\n');
  const checked = await new Promise<number | null>((resolve, reject) => {
    const child = execFile('ssh-keygen', ['-Y', 'check-novalidate', '-n', 'file', '-s', join(root, 'data.sig')]);
    child.once('error', reject).once('close', resolve);
    child.stdin?.end('data\n');
  });
  expect(checked).toBe(0);
  expect(execFileSync('ls', [root]).toString()).not.toContain('run');
});

it('an agent of the user’s own, under a name', async () => {
  const home = await farm.folder();
  const socket = join(home, 'agent');
  const agent = execFile('ssh-agent', ['-D', '-a', socket]);
  try {
    for (let tries = 0; tries < 100; tries++) {
      const added = await run('ssh-add', ['-q', key], { env: { SSH_AUTH_SOCK: socket } }).catch(() => undefined);
      if (added !== undefined) break;
      await delay(50);
    }
    const files = dockerfile('ssh-add -l', ',id=github,required');
    const { code, stderr } = await (await build(files, ['--ssh', `github=${socket}`])).ended;
    expect([code, stderr.includes('of-the-client')]).toEqual([0, true]);
    const own = await (await build(dockerfile('ssh-add -l'), ['--ssh', 'default'], { SSH_AUTH_SOCK: socket })).ended;
    expect([own.code, own.stderr.includes('of-the-client')]).toEqual([0, true]);
  } finally {
    agent.kill();
  }
});

it('without an agent an optional mount is not there, and a required one fails by name', async () => {
  const optional = await (await build(dockerfile('test ! -e $SSH_AUTH_SOCK'), [])).ended;
  expect(optional.code).toBe(0);
  const required = await (await build(dockerfile('true', ',id=github,required'), [])).ended;
  expect(required.code).toBe(1);
  expect(required.stderr).toContain('no ssh agent "github" is forwarded to this build');
  expect(required.stderr).toContain('--ssh github=SOCKET');
  const none = await (await build(dockerfile('true'), ['--ssh', 'default'])).ended;
  expect([none.code, none.stderr.includes('SSH_AUTH_SOCK is not set')]).toEqual([2, true]);
});

it('a client that left fails the step by name', async () => {
  const cli = await build(dockerfile('ssh-add -l; echo first; sleep 4; ssh-add -l; echo ne""ver'), [
    '--ssh',
    `default=${key}`,
  ]);
  for (let tries = 0; !/^#\d+ [\d.]+ first$/m.test(cli.seen()) && tries < 600; tries++) await delay(100);
  cli.child.kill('SIGKILL');
  await cli.ended;
  const id = /\b([0-9a-z]{20})\b/.exec((await farm.cli(['builds', '-n', '1']).ended).stdout)?.[1] ?? '';
  const { stdout } = await farm.cli(['logs', id, '--follow']).ended;
  expect(stdout).toContain('the client that forwards the ssh agent "default" has left');
  expect(stdout).not.toContain('never');
});

it('a session is for whoever may start builds of the project', async () => {
  const cli = await build(dockerfile('sleep 300'), ['--ssh', `default=${key}`]);
  for (let tries = 0; !/RUN --mount/.test(cli.seen()) && tries < 600; tries++) await delay(100);
  const id = /\b([0-9a-z]{20})\b/.exec((await farm.cli(['builds', '-n', '1']).ended).stdout)?.[1] ?? '';
  const tokens = new TokenStore(farm.db);
  const projects = new ProjectStore(farm.db);
  const other = await tokens.create({ ...(await projects.ensure('other', 'main')), permissions: Permission.options });
  const reader = await tokens.create({ ...(await projects.ensure('default', 'main')), permissions: ['read'] });
  expect(await upgrade(id, other)).toBe(404);
  expect(await upgrade(id, reader)).toBe(403);
  expect(await upgrade(id, 'kiln_wrong')).toBe(401);
  expect(await upgrade(id, farm.token)).toBe(101);
  expect(await upgrade(basename(dir), farm.token)).toBe(404);
  const socket = new WebSocket(`${farm.url.replace('http', 'ws')}/v1/builds/${id}/session`, {
    headers: { authorization: `Bearer ${farm.token}` },
  });
  await once(socket, 'open');
  const closed = once(socket, 'close');
  expect((await farm.cli(['cancel', id]).ended).code).toBe(0);
  expect((await cli.ended).code).toBe(1);
  expect((await closed)[0]).toMatchObject({ code: 1000, reason: 'the build has ended' });
  expect(await upgrade(id, farm.token)).toBe(409);
});

/** Status of the answer to who wants a build's session. */
function upgrade(id: string, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request(`${farm.url}/v1/builds/${id}/session`, {
      headers: {
        authorization: `Bearer ${token}`,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': Buffer.alloc(16).toString('base64'),
      },
    });
    asking.once('upgrade', ({ statusCode }, socket) => {
      socket.destroy();
      resolve(statusCode ?? 0);
    });
    asking.once('response', (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asking.once('error', reject);
    asking.end();
  });
}

it('keys that cannot be used are refused before anything is sent', async () => {
  const locked = join(await farm.folder(), 'locked');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'passphrase', '-f', locked]);
  const refused = await (await build(dockerfile('true'), ['--ssh', `default=${locked}`])).ended;
  expect([refused.code, refused.stderr.includes('cannot be used')]).toEqual([2, true]);
  await writeFile(join(dir, 'no-key'), 'x');
  const missing = await (await build(dockerfile('true'), ['--ssh', 'default=/no/such/key'])).ended;
  expect(missing.code).toBe(2);
});

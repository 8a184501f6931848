import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const POSTGRES_BIN = '/usr/lib/postgresql/15/bin';
const START_TIMEOUT_MS = 30_000;

/** A real server of a test, on a free port of loopback, in a directory of its own. */
export interface TestService extends AsyncDisposable {
  readonly url: string;
  /** The server goes away, its data stays. */
  stop(): Promise<void>;
  /** It comes back at the same address. */
  start(): Promise<void>;
}

/** Postgres refuses to run as root. */
async function unprivileged(): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const user of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // The next one may be there.
    }
  }
  throw new Error('there is no user to run Postgres as: neither postgres nor nobody');
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function until(what: string, ready: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      await ready();
      return;
    } catch (cause) {
      if (Date.now() > deadline) throw new Error(`${what} did not start`, { cause });
      await delay(50);
    }
  }
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** Runs `command` on demand; `gentle` is the signal that it stops at. */
function service(
  directory: string,
  url: string,
  launch: {
    readonly start: () => ChildProcess;
    readonly ready: () => Promise<unknown>;
    readonly gentle: NodeJS.Signals;
  },
): TestService {
  let child: ChildProcess | undefined;
  return {
    url,
    async start() {
      child = launch.start();
      await until(url, launch.ready);
    },
    async stop() {
      await end(child, launch.gentle);
      child = undefined;
    },
    async [Symbol.asyncDispose]() {
      await end(child, 'SIGKILL');
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** An empty database. */
export async function startPostgres(): Promise<TestService> {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-postgres-'));
  const user = await unprivileged();
  if (user !== undefined) await chown(directory, user.uid, user.gid);
  await chmod(directory, 0o700);
  const password = join(directory, 'password');
  const data = join(directory, 'data');
  await writeFile(password, 'kiln');
  if (user !== undefined) await chown(password, user.uid, user.gid);
  const initdb = [
    '-D',
    data,
    '-U',
    'kiln',
    '-A',
    'scram-sha-256',
    '--pwfile',
    password,
    '-E',
    'UTF8',
    '--locale=C',
    '-N',
  ];
  await run(join(POSTGRES_BIN, 'initdb'), initdb, { ...user, cwd: directory });
  const port = await freePort();
  const settings = ['fsync=off', 'full_page_writes=off', `unix_socket_directories=${directory}`];
  const started = service(directory, `postgres://kiln:kiln@127.0.0.1:${port}/postgres`, {
    // Immediate shutdown: as after a crash, with connections cut.
    gentle: 'SIGQUIT',
    start: () =>
      spawn(
        join(POSTGRES_BIN, 'postgres'),
        ['-D', data, '-h', '127.0.0.1', '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
        { ...user, cwd: directory, stdio: 'ignore' },
      ),
    ready: () => run(join(POSTGRES_BIN, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(port), '-q']),
  });
  await started.start();
  return started;
}

/** An empty Redis that keeps nothing on disk. */
export async function startRedis(): Promise<TestService> {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-redis-'));
  const port = await freePort();
  const options = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--requirepass',
    'kiln',
    '--save',
    '',
    '--dir',
    directory,
  ];
  const started = service(directory, `redis://:kiln@127.0.0.1:${port}`, {
    gentle: 'SIGKILL',
    start: () => spawn('redis-server', [...options, '--maxmemory-policy', 'noeviction'], { stdio: 'ignore' }),
    ready: () => run('redis-cli', ['-p', String(port), '-a', 'kiln', '--no-auth-warning', 'ping']),
  });
  await started.start();
  return started;
}

/** Forgets everything, as a restart without a disk does. */
export async function flushRedis({ url }: TestService): Promise<void> {
  const { port, password } = new URL(url);
  await run('redis-cli', ['-p', port, '-a', password, '--no-auth-warning', 'flushall']);
}

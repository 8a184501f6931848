import { access, chmod, chown, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KilnError } from '#std';
import { sweepCgroup } from './cgroup-sweep.ts';
import type { ChildSpec } from './child.ts';
import type { Identity } from './identity.ts';
import type { FarmLayout } from './layout.ts';
import { writePrivate } from './private-file.ts';
import { answersOk, redisAnswers } from './probes.ts';
import { runCommand } from './stand-ins/run-command.ts';

/** What all processes of a farm are made from. */
export interface FarmParts {
  readonly layout: FarmLayout;
  readonly identity: Identity;
  /** what children inherit of this process' environment */
  readonly base: Readonly<Record<string, string>>;
  /** certificates for steps behind an inspecting proxy */
  readonly caBundle: string | undefined;
  /** further settings of API and builders */
  readonly settings: Readonly<Record<string, string>>;
}

const POSTGRES_DIR = '/usr/lib/postgresql';
const apps = fileURLToPath(new URL('../../', import.meta.url));

/** Ends a child when this process dies, however it does. */
const boundToUs = (signal: 'KILL' | 'QUIT'): readonly string[] => [`--pdeathsig=${signal}`, '--'];

const logFile = ({ logs }: FarmLayout, name: string): string => join(logs, `${name}.log`);

export async function postgres(parts: FarmParts, signal: AbortSignal): Promise<ChildSpec> {
  const { layout, identity, base } = parts;
  const bin = await postgresBin();
  const user = await unprivilegedUser(signal);
  const dir = join(layout.open, 'postgres');
  const as = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
  await initialise({ dir, bin, user, as, password: identity.postgresPassword, signal });
  const port = String(identity.ports.postgres);
  const settings = ['unix_socket_directories=', 'max_connections=200', 'listen_addresses=127.0.0.1'];
  return {
    name: 'postgres',
    command: [
      'setpriv',
      ...as,
      ...boundToUs('QUIT'),
      join(bin, 'postgres'),
      ...['-D', join(dir, 'data'), '-p', port],
      ...settings.flatMap((setting) => ['-c', setting]),
    ],
    env: base,
    logFile: logFile(layout, 'postgres'),
    ready: () =>
      runCommand(join(bin, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', port], { signal }).then(() => true),
    // Fast shutdown: connections are cut, nothing is lost.
    stopSignal: 'SIGINT',
    stopMs: 15_000,
    // A postmaster that was killed leaves its file; the number in it may be another process' by now.
    sweep: () => rm(join(dir, 'data/postmaster.pid'), { force: true }),
  };
}

interface Initialising {
  readonly dir: string;
  readonly bin: string;
  readonly user: { readonly uid: number; readonly gid: number };
  readonly as: readonly string[];
  readonly password: string;
  readonly signal: AbortSignal;
}

async function initialise({ dir, bin, user, as, password, signal }: Initialising): Promise<void> {
  const finished = join(dir, 'initialised');
  if (await exists(finished)) return;
  // Half of an earlier attempt.
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { mode: 0o700 });
  const passwordFile = join(dir, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  for (const path of [dir, passwordFile]) await chown(path, user.uid, user.gid);
  const options = ['-U', 'kiln', '-A', 'scram-sha-256', '--pwfile', passwordFile, '-E', 'UTF8', '--locale=C'];
  const initdb = [join(bin, 'initdb'), '-D', join(dir, 'data'), ...options];
  await runCommand('setpriv', [...as, '--', ...initdb], { signal, cwd: dir });
  await rm(passwordFile);
  await writeFile(finished, '');
}

export async function redis({ layout, identity, base }: FarmParts): Promise<ChildSpec> {
  const { redis: port } = identity.ports;
  const config = join(layout.redis, 'redis.conf');
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${identity.redisPassword}`,
    `dir ${layout.redis}`,
    // A queue that evicts loses jobs.
    'maxmemory-policy noeviction',
    'appendonly yes',
    'save ""',
  ];
  await writePrivate(config, `${lines.join('\n')}\n`);
  return {
    name: 'redis',
    command: ['setpriv', ...boundToUs('KILL'), 'redis-server', config],
    env: base,
    logFile: logFile(layout, 'redis'),
    ready: () => redisAnswers(port, identity.redisPassword),
    stopSignal: 'SIGTERM',
    stopMs: 10_000,
  };
}

export interface RegistryOptions {
  readonly name: string;
  readonly port: number;
  readonly storage: string;
  /** nothing may be pushed: several registries share the storage */
  readonly readonly: boolean;
}

export async function registry(parts: FarmParts, options: RegistryOptions): Promise<ChildSpec> {
  const { layout, identity, base } = parts;
  const { name, port, storage } = options;
  const config = join(layout.registry, `${name}.json`);
  const maintenance = { uploadpurging: { enabled: false }, readonly: { enabled: options.readonly } };
  const settings = {
    version: 0.1,
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true }, maintenance },
    http: { addr: `127.0.0.1:${port}`, secret: identity.registrySecret, relativeurls: true },
  };
  // JSON is YAML.
  await writePrivate(config, JSON.stringify(settings, null, 2));
  return {
    name,
    command: ['setpriv', ...boundToUs('KILL'), 'docker-registry', 'serve', config],
    env: base,
    logFile: logFile(layout, name),
    ready: () => answersOk(`http://127.0.0.1:${port}/v2/`),
    stopSignal: 'SIGTERM',
    stopMs: 5_000,
  };
}

/** Where the farm's blobs are. */
export function objectStoreOf({ layout, identity }: FarmParts): string {
  return identity.objectStore ?? layout.content;
}

/** Where API and builders find the rest of the farm. */
function farmEnv(parts: FarmParts): Readonly<Record<string, string>> {
  const { identity, base, settings } = parts;
  const { postgresPassword, redisPassword, secretKey, ports } = identity;
  return {
    ...base,
    ...settings,
    KILN_DATABASE_URL: `postgres://kiln:${postgresPassword}@127.0.0.1:${ports.postgres}/postgres`,
    KILN_REDIS_URL: `redis://:${redisPassword}@127.0.0.1:${ports.redis}`,
    KILN_OBJECT_STORE: objectStoreOf(parts),
    KILN_SECRET_KEY: secretKey,
  };
}

/** The program that works on a farm's database and store from the side. */
export const adminMain = join(apps, 'api/src/admin.js');

/** What it needs to know of the farm. */
export const adminEnv = (parts: FarmParts): Readonly<Record<string, string>> => farmEnv(parts);

/** Brings the database to this version, and makes the farm's token known. */
export async function prepareDatabase(parts: FarmParts, signal: AbortSignal): Promise<void> {
  const env = { ...farmEnv(parts), KILN_BOOTSTRAP_TOKEN: parts.identity.token };
  await runCommand(process.execPath, [adminMain, 'migrate'], { signal, env });
  await runCommand(
    process.execPath,
    [adminMain, 'ensure-token', '--permissions', 'build,read,admin', '--owner', 'admin'],
    {
      signal,
      env,
    },
  );
}

export function api(parts: FarmParts): ChildSpec {
  const { layout, identity } = parts;
  const port = String(identity.ports.api);
  return {
    name: 'api',
    command: ['setpriv', ...boundToUs('KILL'), process.execPath, join(apps, 'api/src/main.js')],
    env: {
      ...farmEnv(parts),
      ...registryEnv(parts),
      KILN_API_HOST: '127.0.0.1',
      KILN_API_PORT: port,
      KILN_METRICS_TOKEN: identity.token,
      KILN_OPERATOR_TOKEN: identity.token,
    },
    logFile: logFile(layout, 'api'),
    ready: async (said) => said.has('listening') && (await answersOk(`http://127.0.0.1:${port}/readyz`)),
    stopSignal: 'SIGTERM',
    stopMs: 10_000,
  };
}

/** A builder that is one too many finishes its builds, or hands them over after this. */
const BUILDER_DRAIN_SECONDS = 30;

const joined = (...lists: readonly (string | undefined)[]): string =>
  lists.filter((list) => list !== undefined).join(',');

/** Which registries may be reached, and whom to believe about them. */
const registryEnv = ({ identity, caBundle, settings }: FarmParts): Readonly<Record<string, string>> => ({
  KILN_EGRESS_ALLOW: joined(settings['KILN_EGRESS_ALLOW'], `127.0.0.1:${identity.ports.registry}`),
  ...(caBundle === undefined ? {} : { KILN_CA_BUNDLE: caBundle }),
});

export function builder(parts: FarmParts, id: string): ChildSpec {
  const { layout, identity, settings } = parts;
  const { mirror } = identity.ports;
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc'];
  const cgroupParent = `/kiln/${layout.id}`;
  return {
    name: id,
    command: [
      ...(['setpriv', ...boundToUs('KILL'), 'unshare', ...namespaces, 'tini', '-s', '--'] as const),
      process.execPath,
      join(apps, 'builder/src/main.js'),
    ] as [string, ...string[]],
    env: {
      ...farmEnv(parts),
      KILN_BUILDER_ID: id,
      KILN_BUILDER_DRAIN_SECONDS: String(BUILDER_DRAIN_SECONDS),
      KILN_BUILDER_DIR: join(layout.open, id),
      KILN_CGROUP_PARENT: cgroupParent,
      KILN_REGISTRY_MIRRORS: joined(settings['KILN_REGISTRY_MIRRORS'], `*=stand-in:http://127.0.0.1:${mirror}`),
      ...registryEnv(parts),
    },
    logFile: logFile(layout, id),
    ready: (said) => Promise.resolve(said.has('ready')),
    // What runs goes on when the farm is up again.
    stopSignal: 'SIGINT',
    stopMs: 15_000,
    drain: { signal: 'SIGTERM', ms: BUILDER_DRAIN_SECONDS * 1000 + 15_000 },
    // unshare passes no signal on; its only child does.
    stopTarget: onlyChild,
    sweep: () => sweepCgroup(`${cgroupParent}/${id}`),
  };
}

/** The builder process itself: unshare → tini → Node. */
export async function builderPid(pid: number): Promise<number> {
  return await onlyChild(await onlyChild(pid));
}

async function onlyChild(pid: number): Promise<number> {
  const [child = ''] = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ');
  if (child === '') throw new KilnError('NOT_FOUND', `process ${pid} has no child`);
  return Number(child);
}

async function postgresBin(): Promise<string> {
  const versions = await readdir(POSTGRES_DIR).catch(() => []);
  const [newest] = versions.filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a));
  if (newest !== undefined) return join(POSTGRES_DIR, newest, 'bin');
  throw new KilnError('UNAVAILABLE', `there is no Postgres in ${POSTGRES_DIR}`, {
    hint: 'run ./kiln --install as root, or apt-get install postgresql',
  });
}

/** Postgres refuses to run as root. */
async function unprivilegedUser(signal: AbortSignal): Promise<{ readonly uid: number; readonly gid: number }> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number(await runCommand('id', [flag, 'postgres'], { signal }))),
  );
  if (uid === undefined || gid === undefined) throw new KilnError('INTERNAL', 'id gives no numbers');
  return { uid, gid };
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** A directory of a builder, passable for the users of its steps. */
export async function makeBuilderDir({ layout }: FarmParts, id: string): Promise<void> {
  const dir = join(layout.open, id);
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o711);
}

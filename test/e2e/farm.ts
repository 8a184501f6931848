import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { type ContentStore, FolderContentStore } from '#content';
import { CacheReport } from '#protocol';
import { systemRandom } from '#std';
import { type Database, migrate, openDatabase, Permission, ProjectStore, TokenStore } from '#storage';
import { startPostgres, startRedis, type TestService } from '#testing';
import { z } from 'zod';
import { sweepCgroup } from '../../apps/local/src/cgroup-sweep.ts';
import { RealRegistry } from '../registry/real-registry.ts';
import { pushBaseImage } from './base-image.ts';
import { kilnWith, type Ran } from './kiln-in-process.ts';

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
/** On a real disk: an overlay cannot stand on an overlay or on some temporary file systems. */
const SCRATCH = '/var/tmp';
const START_MS = 120_000;
/** Of all builders here. */
export const cgroupParent = `/kiln-e2e/${process.pid}`;

/** What `--metadata-file` says. */
export const Metadata = z.object({
  'containerimage.digest': z.string().optional(),
  'containerimage.config.digest': z.string().optional(),
  'image.name': z.string().optional(),
  'kiln.build': z.object({
    id: z.string(),
    url: z.string(),
    steps: z.object({ total: z.int(), hit: z.int(), run: z.int(), joined: z.int() }),
    bytes: z.object({ contextSent: z.int(), pulled: z.int(), pushed: z.int() }),
    durationMs: z.int(),
    savedMs: z.int(),
    cache: CacheReport.optional(),
  }),
});
export type Metadata = z.infer<typeof Metadata>;

/** A process of the farm that says a line when it is ready. */
interface Part {
  readonly child: ChildProcess;
  /** everything that it wrote */
  readonly log: () => string;
}

export interface FarmOptions {
  /** what builds may reach besides the farm's registry */
  readonly egressAllow?: readonly string[];
  /** further environment of the first builder */
  readonly builder?: Readonly<Record<string, string>>;
  /** another farm, whose registries it has, and what brings that one's rows and blobs here */
  readonly restored?: { readonly of: Farm; readonly bring: (env: Farm['env']) => Promise<void> };
}

interface More {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** Postgres, Redis, two registries, the API and builders as processes of their own; the command line against them. */
export class Farm implements AsyncDisposable {
  readonly #builders = new Map<string, Part>();
  /** builders that have been started, those that have ended too */
  readonly #started: Part[] = [];
  /** Rejects when a builder ends that nobody asked to: builds would wait for it for ever. */
  readonly #broken = Promise.withResolvers<never>();
  #api: Part | undefined;
  #apiUrl = '';

  private constructor(
    readonly dir: string,
    readonly db: Database,
    readonly postgres: TestService,
    readonly redis: TestService,
    readonly registry: RealRegistry,
    readonly mirror: RealRegistry,
    readonly token: string,
    readonly held: AsyncDisposableStack,
  ) {
    this.#broken.promise.catch(() => undefined);
  }

  /** beside the registry: what the API and builders may reach */
  #egressAllow: readonly string[] = [];

  get #egress(): string {
    return [this.registry.host, ...this.#egressAllow].join(',');
  }

  /** With `box:1`, a small image with a shell that only the farm's own mirror has, and one builder. */
  static async start({ egressAllow = [], builder = {}, restored }: FarmOptions = {}): Promise<Farm> {
    await using stack = new AsyncDisposableStack();
    const dir = await mkdtemp(join(SCRATCH, 'kiln-e2e-'));
    await chmod(dir, 0o711);
    stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
    const [postgres, redis, registry, mirror] = await Promise.all([
      startPostgres(),
      startRedis(),
      restored?.of.registry ?? RealRegistry.start(),
      restored?.of.mirror ?? RealRegistry.start(),
    ]);
    for (const service of [postgres, redis]) stack.use(service);
    const db = stack.use(openDatabase({ url: postgres.url, max: 4 }));
    if (restored === undefined) for (const service of [registry, mirror]) stack.use(service);
    const token = restored?.of.token ?? (await begin(db, mirror));
    const farm = new Farm(dir, db, postgres, redis, registry, mirror, token, stack.move());
    try {
      farm.#egressAllow = egressAllow;
      await restored?.bring(farm.env);
      await farm.startApi();
      await farm.startBuilder('one', builder);
      return farm;
    } catch (thrown) {
      await farm[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  get url(): string {
    return this.#apiUrl;
  }

  /** The farm's blobs, as its processes see them. */
  get content(): ContentStore {
    return new FolderContentStore({ root: join(this.dir, 'content'), random: systemRandom });
  }

  get env(): Readonly<Record<string, string>> {
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: this.dir,
      KILN_DATABASE_URL: this.postgres.url,
      KILN_REDIS_URL: this.redis.url,
      KILN_OBJECT_STORE: join(this.dir, 'content'),
      KILN_SECRET_KEY: 'ab'.repeat(32),
    };
  }

  /** @param settings further environment of the API */
  async startApi(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    await end(this.#api?.child);
    const env = {
      ...this.env,
      KILN_API_PORT: '0',
      KILN_PUBLIC_URL: 'http://farm.example.com',
      KILN_OPERATOR_TOKEN: this.token,
      KILN_EGRESS_ALLOW: this.#egress,
      ...settings,
    };
    this.#api = startPart(process.execPath, [join(dist, 'apps/api/src/main.js')], env);
    const { url } = z.object({ url: z.string() }).parse(await ready(this.#api));
    this.#apiUrl = url;
  }

  /** @param settings further environment of the builder */
  async startBuilder(name: string, settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const env = {
      ...this.env,
      KILN_BUILDER_ID: name,
      KILN_BUILDER_DIR: join(this.dir, `builder-${name}`),
      KILN_CGROUP_PARENT: cgroupParent,
      KILN_REGISTRY_MIRRORS: `*=stand-in:http://${this.mirror.host}`,
      KILN_EGRESS_ALLOW: this.#egress,
      ...settings,
    };
    const namespaces = [
      '--mount',
      '--propagation',
      'private',
      '--pid',
      '--fork',
      '--kill-child=SIGKILL',
      '--mount-proc',
    ];
    const main = [process.execPath, join(dist, 'apps/builder/src/main.js')];
    const part = startPart('unshare', [...namespaces, 'tini', '-s', '--', ...main], env);
    this.#builders.set(name, part);
    this.#started.push(part);
    part.child.once('exit', (code, signal) => {
      if (code === 0 || this.#builders.get(name) !== part) return;
      this.#broken.reject(new Error(`builder ${name} ended by itself (${signal ?? code}):\n${part.log()}`));
    });
    await ready(part);
  }

  builders(): readonly string[] {
    return [...this.#builders.keys()];
  }

  /** Of the API and of each builder. */
  async pids(): Promise<readonly number[]> {
    const builders = [...this.#builders.values()].map(async ({ child }) => onlyChild(await onlyChild(child.pid ?? 0)));
    return [this.#api?.child.pid ?? 0, ...(await Promise.all(builders))];
  }

  /** To the builder's own process, as an operator sends it. */
  async signalBuilder(name: string, signal: 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const part = this.#builders.get(name);
    if (part?.child.pid === undefined) throw new Error(`no builder ${name}`);
    process.kill(await onlyChild(await onlyChild(part.child.pid)), signal);
  }

  /** Resolves when a builder that was asked to end has ended. */
  async builderEnded(name: string): Promise<void> {
    const part = this.#builders.get(name);
    if (part === undefined) throw new Error(`no builder ${name}`);
    if (part.child.exitCode === null && part.child.signalCode === null) await once(part.child, 'exit');
    this.#builders.delete(name);
  }

  /** `SIGKILL` is a node that loses power; `SIGTERM` is asked to end. */
  async stopBuilder(name: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const part = this.#builders.get(name);
    if (part === undefined) throw new Error(`no builder ${name}`);
    this.#builders.delete(name);
    // unshare itself does not pass signals on: tini, its only child, does.
    if (signal === 'SIGTERM') process.kill(await onlyChild(part.child.pid ?? 0), signal);
    else part.child.kill(signal);
    if (part.child.exitCode === null && part.child.signalCode === null) await once(part.child, 'exit');
  }

  /** What the farm's processes wrote. */
  logs(): string {
    return [this.#api, ...this.#builders.values()].map((part) => part?.log() ?? '').join('\n');
  }

  /** What builders say of each step that they run themselves, in no order. */
  runs(): readonly StepRun[] {
    const lines = this.#started.flatMap((part) => part.log().split('\n'));
    return lines.filter((line) => line.includes('"a step runs"')).map((line) => StepRun.parse(JSON.parse(line)));
  }

  /** An empty directory of its own. */
  async folder(): Promise<string> {
    const path = join(this.dir, `work-${randomBytes(4).toString('hex')}`);
    await mkdir(path);
    return path;
  }

  /** What the command line finds this farm by. */
  get cliEnv(): Readonly<Record<string, string>> {
    const own = { HOME: this.dir, XDG_CACHE_HOME: join(this.dir, 'cache') };
    return { PATH: process.env['PATH'] ?? '', ...own, KILN_URL: this.url, KILN_TOKEN: this.token };
  }

  /** The command line as a process, against this farm. */
  cli(
    args: readonly string[],
    more: { readonly cwd?: string; readonly input?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ): RunningCli {
    const child = spawn(process.execPath, ['--', join(dist, 'apps/cli/src/main.js'), ...args], {
      cwd: more.cwd ?? this.dir,
      env: { ...this.cliEnv, ...more.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(more.input ?? '');
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = once(child, 'close').then(([code]) => ({ code: z.int().nullable().parse(code), stdout, stderr }));
    return { child, ended, seen: () => stdout + stderr };
  }

  /**
   * `kiln build` against this farm, inside this process; {@link cli} starts it as a user does. Resolves when the cache is
   * written, too: an answer does not wait for that, and tests look at it.
   */
  async kilnBuild(args: readonly string[], more: More = {}): Promise<Ran> {
    return await this.#kiln(['build', ...args], more);
  }

  /** `kiln bake`, as {@link kilnBuild}. */
  async kilnBake(args: readonly string[], more: More = {}): Promise<Ran> {
    return await this.#kiln(['bake', ...args], more);
  }

  async #kiln(args: readonly string[], more: More): Promise<Ran> {
    // A person's own configuration is none of a test's business.
    const own = { DOCKER_CONFIG: join(this.dir, '.docker') };
    const environment = { ...own, ...this.cliEnv, ...more.env };
    const ran = await Promise.race([kilnWith(args, { cwd: more.cwd ?? this.dir, environment }), this.#broken.promise]);
    while (ran.code === 0 && (await this.#isWriting())) await delay(20);
    return ran;
  }

  async #isWriting(): Promise<boolean> {
    const delivered = "SELECT id FROM builds WHERE state = 'running' AND result IS NOT NULL LIMIT 1";
    return (await this.db.query(z.object({ id: z.string() }), delivered)).length > 0;
  }

  /** Builds a directory; fails the test where the build does. */
  async build(dir: string, ...args: readonly string[]): Promise<Metadata & { readonly progress: string }> {
    const file = join(this.dir, `metadata-${randomBytes(4).toString('hex')}.json`);
    const { code, stdout, stderr } = await this.kilnBuild([dir, '--metadata-file', file, ...args]);
    if (code !== 0) throw new Error(`kiln build exited with ${code}:\n${stdout}${stderr}\n${this.logs()}`);
    return { ...Metadata.parse(JSON.parse(await readFile(file, 'utf8'))), progress: stdout + stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.#builders.keys()]) await this.stopBuilder(name, 'SIGKILL');
    await end(this.#api?.child);
    await sweepCgroup(cgroupParent);
    await this.held.disposeAsync();
  }
}

/** An empty farm with a project. @returns a token of it */
async function begin(db: Database, mirror: RealRegistry): Promise<string> {
  await migrate(db);
  const ids = await new ProjectStore(db).ensure('default', 'main');
  await pushBaseImage(`${mirror.host}/library/box:1`);
  return await new TokenStore(db).create({ ...ids, permissions: Permission.options });
}

const StepRun = z.object({ buildId: z.string(), vertex: z.string(), kind: z.string() });
export type StepRun = z.infer<typeof StepRun>;

export interface RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  /** all output up to now */
  readonly seen: () => string;
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child?.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function startPart(command: string, args: readonly string[], env: Readonly<Record<string, string>>): Part {
  const child = spawn(command, args, { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  return { child, log: () => log };
}

/** The first line that a process says. */
async function ready({ child, log }: Part): Promise<unknown> {
  if (child.stdout === null) throw new Error('no output');
  const lines = createInterface({ input: child.stdout });
  const impatience = setTimeout(() => child.kill('SIGKILL'), START_MS);
  try {
    for await (const line of lines) return JSON.parse(line);
    throw new Error(`a part of the farm ended before it was ready:\n${log()}`);
  } finally {
    clearTimeout(impatience);
    child.stdout.resume();
  }
}

async function onlyChild(pid: number): Promise<number> {
  const [child = ''] = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ');
  return z.coerce.number().int().positive().parse(child);
}

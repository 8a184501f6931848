import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { farmIdOf } from '../../apps/local/src/layout.ts';

const kiln = fileURLToPath(new URL('../../kiln', import.meta.url));

/** What `kiln status --json` prints. */
const Status = z.object({
  api: z.object({ url: z.string(), pid: z.int() }),
  registry: z.object({ address: z.string() }),
  builders: z.array(z.object({ id: z.string(), pid: z.int(), state: z.string() })),
  services: z.object({
    postgres: z.object({ port: z.int(), pid: z.int() }),
    redis: z.object({ port: z.int(), pid: z.int() }),
  }),
  objectStore: z.string(),
  data: z.string(),
});
export type Status = z.infer<typeof Status>;

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The farm that `./kiln` starts, in a data directory of its own. */
export class EmbeddedFarm implements AsyncDisposable {
  readonly dir: string;
  readonly data: string;
  readonly env: Readonly<Record<string, string>>;

  private constructor(dir: string, data: string, env: Readonly<Record<string, string>>) {
    this.dir = dir;
    this.data = data;
    this.env = env;
  }

  /** @param env further environment of every command */
  static async create(env: Readonly<Record<string, string>> = {}): Promise<EmbeddedFarm> {
    const dir = await mkdtemp('/var/tmp/kiln-farm-');
    // As a home directory is: users of containers cannot pass.
    await mkdir(join(dir, 'closed'), { mode: 0o700 });
    return new EmbeddedFarm(dir, join(dir, 'closed/data'), env);
  }

  /** `./kiln` as a user calls it. */
  async kiln(...args: readonly string[]): Promise<Ran> {
    return await this.with({}, ...args);
  }

  /** The same with further environment. */
  async with(more: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Ran> {
    const { KILN_URL: _url, KILN_TOKEN: _token, ...env } = process.env;
    const child = spawn(kiln, args, {
      env: { ...env, ...this.env, ...more, KILN_DATA: this.data },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const code = await new Promise<number | null>((resolve, reject) =>
      child.once('error', reject).once('close', resolve),
    );
    return { code: code ?? -1, stdout, stderr };
  }

  /** As {@link kiln}; fails the test where the command fails. */
  async succeed(...args: readonly string[]): Promise<Ran> {
    const ran = await this.kiln(...args);
    if (ran.code !== 0) throw new Error(`kiln ${args.join(' ')} exited with ${ran.code}:\n${ran.stdout}${ran.stderr}`);
    return ran;
  }

  async status(): Promise<Status> {
    return Status.parse(JSON.parse((await this.succeed('status', '--json')).stdout));
  }

  /** Asks until `holds`; fails after a long while with the last answer. */
  async until(holds: (status: Status) => boolean): Promise<Status> {
    let last = '';
    for (let round = 0; round < 300; round++) {
      const { code, stdout } = await this.kiln('status', '--json');
      last = stdout;
      const status = code === 0 ? Status.safeParse(JSON.parse(stdout)) : undefined;
      if (status?.success === true && holds(status.data)) return status.data;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the farm did not come to where it should be: ${last}`);
  }

  /** What of this farm is on the machine: processes, mounts, cgroups, sockets. */
  async traces(): Promise<readonly string[]> {
    const processes = (await promisify(execFile)('ps', ['-eo', 'pid,args'], { maxBuffer: 16 << 20 })).stdout.split(
      '\n',
    );
    const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
    const sockets = (await readFile('/proc/net/unix', 'utf8')).split('\n');
    // There is none to be found before its data directory is there.
    const id = await farmIdOf(this.data).catch(() => undefined);
    return [
      ...[...processes, ...mounts].filter((line) => line.includes(this.dir)),
      ...sockets.filter((line) => id !== undefined && line.includes(`kiln-farm-${id}`)),
      ...(await cgroupsOf(id)),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kiln('down');
    await rm(join('/var/lib/kiln', await farmIdOf(this.data)), { recursive: true, force: true });
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Control groups of a farm, in any hierarchy, and what all farms have them in where no farm has any. */
async function cgroupsOf(id: string | undefined): Promise<readonly string[]> {
  const root = '/sys/fs/cgroup';
  const top = await readdir(root, { withFileTypes: true });
  const dirs = [root, ...top.filter((entry) => entry.isDirectory()).map((entry) => join(root, entry.name))];
  const found = dirs.map(async (dir) => {
    const common = join(dir, 'kiln');
    const entries = await readdir(common, { withFileTypes: true }).catch(() => undefined);
    const farms = entries?.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    if (farms?.length === 0) return [common];
    return id !== undefined && farms?.includes(id) === true ? [join(common, id)] : [];
  });
  return (await Promise.all(found)).flat();
}

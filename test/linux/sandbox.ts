import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Exit, type ProcessSpec, RuncExecutor } from '#executor';
import { removeTree, resolveInRoot } from '#snapshot';
import { silentLogger } from '#std';
import { sweepCgroup } from '../../apps/local/src/cgroup-sweep.ts';
import { mountsBelow, Scratch } from './scratch.ts';

const applets = [
  'sh',
  'cat',
  'chmod',
  'dd',
  'echo',
  'env',
  'id',
  'ip',
  'ls',
  'mknod',
  'mount',
  'nc',
  'nslookup',
  'ping',
  'ps',
  'sleep',
  'stat',
  'tail',
  'touch',
  'true',
  'unshare',
  'yes',
];

/** What a sandbox ended with and wrote. */
export interface Outcome extends Exit {
  readonly out: string;
  readonly err: string;
}

/** An executor in a place of its own, and a root with busybox as base of its sandboxes. */
export class Sandboxes implements AsyncDisposable {
  readonly executor: RuncExecutor;
  readonly scratch: Scratch;
  readonly dir: string;
  readonly cgroupParent: string;
  readonly base: string;
  #count = 0;

  private constructor(fields: Pick<Sandboxes, 'executor' | 'scratch' | 'dir' | 'cgroupParent' | 'base'>) {
    this.executor = fields.executor;
    this.scratch = fields.scratch;
    this.dir = fields.dir;
    this.cgroupParent = fields.cgroupParent;
    this.base = fields.base;
  }

  /** @param slirp4netns what connects them */
  static async open(slirp4netns = 'slirp4netns'): Promise<Sandboxes> {
    const dir = mkdtempSync('/run/kiln-test-');
    execFileSync('chmod', ['711', dir]);
    const cgroupParent = `/kiln-test/${dir.slice(-6)}`;
    const executor = await RuncExecutor.open({
      runtime: 'runc',
      slirp4netns,
      root: dir,
      cgroupParent,
      idMap: { containerId: 0, hostId: 100_000, size: 2 ** 31 },
      seccompProfile: '/usr/share/containers/seccomp.json',
      resolvConf: '/etc/resolv.conf',
      resolveInRoot: (root, path) => resolveInRoot(root, path, { followLast: true }),
      logger: silentLogger,
    });
    const scratch = await Scratch.open();
    const base = await scratch.layer(null, busybox);
    return new Sandboxes({ executor, scratch, dir, cgroupParent, base });
  }

  /** Runs a shell script (or `args`) in a fresh root on the base. */
  async run(
    script: string,
    changes: Partial<ProcessSpec> = {},
    signal = new AbortController().signal,
  ): Promise<Outcome> {
    const key = this.scratch.name();
    const root = await this.scratch.mount(await this.scratch.snapshots.prepare(key, this.base));
    try {
      return await this.runIn(root, script, changes, signal);
    } finally {
      await this.scratch.unmount(root);
      await this.scratch.snapshots.remove(key);
    }
  }

  async runIn(
    root: string,
    script: string,
    changes: Partial<ProcessSpec> = {},
    signal = new AbortController().signal,
  ): Promise<Outcome> {
    const written = ['', '', ''];
    const exit = await this.executor.run(
      this.spec(script, changes),
      root,
      (stream, chunk) => {
        written[stream] += Buffer.from(chunk).toString();
      },
      signal,
    );
    return { ...exit, out: written[1] ?? '', err: written[2] ?? '' };
  }

  spec(script: string, changes: Partial<ProcessSpec> = {}): ProcessSpec {
    return {
      id: `t${++this.#count}`,
      args: ['/bin/sh', '-c', script],
      env: ['PATH=/bin'],
      cwd: '/',
      uid: 0,
      gid: 0,
      additionalGids: [],
      hostname: 'sandbox',
      network: 'none',
      limits: { memoryBytes: 64 * 1024 * 1024, pids: 32 },
      mounts: [],
      ...changes,
    };
  }

  /** The share of cores that the kernel gives a running sandbox. */
  cpusOf(id: string): number {
    const number = (path: string): number => Number(readFileSync(path, 'utf8'));
    const unified = join('/sys/fs/cgroup', this.cgroupParent, id, 'cpu.max');
    if (existsSync(unified)) {
      const [quota, period] = readFileSync(unified, 'utf8').split(' ').map(Number);
      return (quota ?? 0) / (period ?? 1);
    }
    const dir = join('/sys/fs/cgroup/cpu', this.cgroupParent, id);
    return number(join(dir, 'cpu.cfs_quota_us')) / number(join(dir, 'cpu.cfs_period_us'));
  }

  /** What sandboxes left on this node. */
  async leftovers(): Promise<readonly string[]> {
    const groups = await Promise.all(
      (await readdir('/sys/fs/cgroup')).map((name) => below(join('/sys/fs/cgroup', name, this.cgroupParent))),
    );
    const whole = await below(join('/sys/fs/cgroup', this.cgroupParent));
    const processes = execFileSync('ps', ['-eo', 'pid,ppid,args']).toString().split('\n');
    return [
      ...(await mountsBelow(this.dir)),
      ...(await below(join(this.dir, 'bundles'))),
      ...(await below(join(this.dir, 'runc'))),
      ...groups.flat(),
      ...whole,
      ...processes.filter(
        (line) =>
          line.includes(this.dir) || (line.includes('slirp4netns') && line.split(/\s+/).includes(String(process.pid))),
      ),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.executor.sweep();
    await this.scratch[Symbol.asyncDispose]();
    await sweepCgroup(this.cgroupParent);
    await removeTree(this.dir);
  }
}

function busybox(root: string): void {
  mkdirSync(join(root, 'bin'));
  mkdirSync(join(root, 'tmp'));
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  execFileSync(
    '/bin/sh',
    [
      '-ec',
      `cd bin; for a in ${applets.join(' ')}; do ln -s busybox $a; done; cd ..; chmod 1777 tmp; chown -hR 100000:100000 .`,
    ],
    { cwd: root },
  );
}

/** Directories in a directory; none where it is not there. */
async function below(dir: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(dir, entry.name));
  } catch {
    return [];
  }
}

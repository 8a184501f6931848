import { existsSync } from 'node:fs';
import { readdir, readFile, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemCode } from '#std';

const mountPoint = '/sys/fs/cgroup';
const removeAttempts = 50;
const removePauseMs = 10;

/**
 * The node's control groups, of either version. Paths are absolute in each hierarchy. Only groups below the given paths
 * are touched, never a hierarchy itself.
 */
export class Cgroups {
  readonly #hierarchies: readonly string[];
  readonly #unified: boolean;

  private constructor(hierarchies: readonly string[], unified: boolean) {
    this.#hierarchies = hierarchies;
    this.#unified = unified;
  }

  static async detect(): Promise<Cgroups> {
    if (existsSync(join(mountPoint, 'cgroup.controllers'))) return new Cgroups([mountPoint], true);
    // Version 1, or hybrid, where `unified` stands among the controllers.
    const names = await readdir(mountPoint);
    const hierarchies = names.map((name) => join(mountPoint, name));
    return new Cgroups(
      hierarchies.filter((path) => existsSync(join(path, 'cgroup.procs'))),
      false,
    );
  }

  /** Whether a limit of memory and swap together can be set. */
  limitsSwap(): boolean {
    return this.#unified || existsSync(join(mountPoint, 'memory', 'memory.memsw.limit_in_bytes'));
  }

  /** How many processes of the group the kernel ended for want of memory. */
  async oomKills(path: string): Promise<number> {
    const file = this.#unified
      ? join(mountPoint, path, 'memory.events')
      : join(mountPoint, 'memory', path, 'memory.oom_control');
    const text = await readOptional(file);
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
  }

  /** Sends SIGKILL to all processes of the group and those below it. */
  async kill(path: string): Promise<void> {
    const groups = new Set<string>();
    for (const hierarchy of this.#hierarchies) for (const group of await tree(join(hierarchy, path))) groups.add(group);
    const pids = new Set<number>();
    for (const group of groups) {
      for (const line of (await readOptional(join(group, 'cgroup.procs'))).split('\n')) pids.add(Number(line));
    }
    // Another pid namespace's processes are listed as 0.
    pids.delete(0);
    for (const pid of pids) killIfThere(pid);
  }

  /** Removes the groups above it that nobody else uses. */
  async removeEmptyParents(path: string): Promise<void> {
    for (let parent = dirname(path); parent !== '/' && parent !== '.'; parent = dirname(parent)) {
      for (const hierarchy of this.#hierarchies) await removeIfUnused(join(hierarchy, parent));
    }
  }

  /** Removes the group and those below it, once their processes are gone. */
  async remove(path: string): Promise<void> {
    for (const hierarchy of this.#hierarchies) {
      for (const group of (await tree(join(hierarchy, path))).reverse()) await removeGroup(group);
    }
  }
}

/** A group's directories, parents first. */
async function tree(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    const below = entries.filter((entry) => entry.isDirectory()).map((entry) => tree(join(dir, entry.name)));
    return [dir, ...(await Promise.all(below)).flat()];
  } catch (thrown) {
    if (isGone(thrown)) return [];
    throw thrown;
  }
}

/** A group stays busy for a moment after its last process ended. */
async function removeGroup(dir: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await rmdir(dir);
    } catch (thrown) {
      if (isGone(thrown)) return;
      if (systemCode(thrown) !== 'EBUSY' || attempt === removeAttempts) throw thrown;
    }
    await delay(removePauseMs);
  }
}

async function removeIfUnused(dir: string): Promise<void> {
  try {
    await rmdir(dir);
  } catch (thrown) {
    if (!isGone(thrown) && !['EBUSY', 'ENOTEMPTY'].includes(systemCode(thrown) ?? '')) throw thrown;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (thrown) {
    if (systemCode(thrown) !== 'ESRCH') throw thrown;
  }
}

async function readOptional(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (isGone(thrown)) return '';
    throw thrown;
  }
}

const isGone = (thrown: unknown): boolean => ['ENOENT', 'ENODEV'].includes(systemCode(thrown) ?? '');

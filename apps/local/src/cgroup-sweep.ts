import { readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemCode } from '#std';

const ROOT = '/sys/fs/cgroup';
const ROUNDS = 200;
const PAUSE_MS = 25;

/** Ends what runs in a control group of any hierarchy and removes it; its parent too, when nothing else is there. */
export async function sweepCgroup(path: string): Promise<void> {
  const hierarchies = ['', ...(await entries(ROOT))];
  for (const hierarchy of hierarchies) await sweepTree(join(ROOT, hierarchy, path));
  for (const hierarchy of hierarchies) {
    await rmdir(join(ROOT, hierarchy, path, '..')).catch((thrown: unknown) => {
      if (!['ENOENT', 'ENOTEMPTY', 'EBUSY', 'ENOTDIR'].includes(systemCode(thrown) ?? '')) throw thrown;
    });
  }
}

async function sweepTree(dir: string): Promise<void> {
  for (const name of await entries(dir)) await sweepTree(join(dir, name));
  for (let round = 0; round < ROUNDS; round++) {
    try {
      await rmdir(dir);
      return;
    } catch (thrown) {
      if (['ENOENT', 'ENOTDIR'].includes(systemCode(thrown) ?? '')) return;
      if (round + 1 === ROUNDS) throw thrown;
    }
    const procs = await readFile(join(dir, 'cgroup.procs'), 'utf8').catch(() => '');
    for (const pid of procs.split('\n').filter((line) => line !== '' && line !== '0')) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await delay(PAUSE_MS);
  }
}

async function entries(dir: string): Promise<readonly string[]> {
  try {
    return (await readdir(dir, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (thrown) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(thrown) ?? '')) return [];
    throw thrown;
  }
}

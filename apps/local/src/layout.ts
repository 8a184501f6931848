import { createHash } from 'node:crypto';
import { mkdir, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Where a farm keeps what. */
export interface FarmLayout {
  /** names the farm on this machine */
  readonly id: string;
  readonly data: string;
  readonly logs: string;
  readonly content: string;
  readonly registry: string;
  readonly redis: string;
  /** for Postgres and the builders, whose users are nobody on this machine: others may pass through all above it */
  readonly open: string;
}

const SYSTEM_DIR = '/var/lib/kiln';

/** Makes the directories of a farm; those that others must be able to reach lie elsewhere when the data directory is closed. */
export async function makeLayout(dataDir: string): Promise<FarmLayout> {
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  const data = await realpath(dataDir);
  const id = await farmIdOf(data);
  const open = (await passable(data)) ? join(data, 'open') : join(SYSTEM_DIR, id);
  await mkdir(open, { recursive: true, mode: 0o711 });
  const made = { logs: join(data, 'logs'), content: join(data, 'content'), registry: join(data, 'registry') };
  const redis = join(data, 'redis');
  for (const path of [...Object.values(made), redis]) await mkdir(path, { recursive: true, mode: 0o700 });
  return { id, data, ...made, redis, open };
}

/** Removes what a farm left there whose data directory somebody deleted: its passwords are gone, nobody can use it. */
export async function clearOpen({ open }: FarmLayout): Promise<void> {
  await rm(open, { recursive: true, force: true });
  await mkdir(open, { recursive: true, mode: 0o711 });
}

/** Names a farm by its data directory, which has to be there. */
export async function farmIdOf(dataDir: string): Promise<string> {
  return createHash('sha256')
    .update(await realpath(dataDir))
    .digest('hex')
    .slice(0, 12);
}

async function passable(path: string): Promise<boolean> {
  for (let dir = path; ; dir = dirname(dir)) {
    if (((await stat(dir)).mode & 0o001) === 0) return false;
    if (dir === dirname(dir)) return true;
  }
}

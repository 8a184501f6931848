import { type BigIntStats, lstatSync, opendirSync, readlinkSync } from 'node:fs';
import { comparePaths, joinPath } from '#content';
import { asText, type IdShift, onDisk, readXattrs } from '#snapshot';
import { KilnError } from '#std';
import { MAX_ENTRIES, type PackedEntry } from './packed-tree.ts';

export interface WalkLimits {
  /** of all files, as long as they say they are: a sparse one counts whole */
  readonly maxBytes: number;
  readonly maxEntries?: number | undefined;
  /** of names, targets and attributes */
  readonly maxNameBytes?: number | undefined;
}

export interface WalkOptions {
  readonly dir: string;
  readonly shift: IdShift;
  /** paths that stay on the node */
  readonly skip?: RegExp | undefined;
  readonly limits: WalkLimits;
}

/** Why a directory stays on its node. */
export interface TooLarge {
  readonly tooLarge: string;
}

const NAME_BYTES = 256 * 1024 * 1024;

/** An entry as it is found; of a file its bytes are not looked at. */
export type FoundEntry = PackedEntry & { readonly ino: string };

/**
 * All files, directories and links below a directory, in order of paths; links are never followed. Devices, pipes and
 * sockets are left out: no cache is made of them.
 */
export function walkDirectory({ dir, shift, skip, limits }: WalkOptions): readonly FoundEntry[] | TooLarge {
  const { maxBytes, maxEntries = MAX_ENTRIES, maxNameBytes = NAME_BYTES } = limits;
  const found: FoundEntry[] = [];
  const firstNames = new Set<string>();
  const todo = [''];
  let bytes = 0;
  let nameBytes = 0;
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    const disk = onDisk(dir, path);
    const stat = lstatIn(disk);
    const type = stat === undefined ? undefined : typeOf(stat);
    if (stat === undefined) return { tooLarge: 'a path in it is longer than 4095 bytes' };
    if (type === undefined) continue;
    const entry = entryOf({ path, type, stat, disk, shift });
    found.push(entry);
    nameBytes += path.length + (entry.link?.length ?? 0) + JSON.stringify(entry.xattrs ?? '').length;
    if (type === 'file' && (stat.nlink === 1n || !firstNames.has(entry.ino))) {
      if (stat.nlink > 1n) firstNames.add(entry.ino);
      bytes += entry.size ?? 0;
    }
    if (bytes > maxBytes) return { tooLarge: `it holds more than ${mebibytes(maxBytes)}` };
    if (found.length > maxEntries) return { tooLarge: `it holds more than ${maxEntries} files` };
    if (nameBytes > maxNameBytes) return { tooLarge: `its names alone take more than ${mebibytes(maxNameBytes)}` };
    if (type !== 'dir') continue;
    for (const name of namesIn(disk)) {
      const below = joinPath(path, asText(name));
      if (skip?.test(below) !== true) todo.push(below);
      if (found.length + todo.length > maxEntries) return { tooLarge: `it holds more than ${maxEntries} files` };
    }
  }
  return found.sort((a, b) => comparePaths(a.path, b.path));
}

const mebibytes = (bytes: number): string => `${Math.floor(bytes / 1024 / 1024)} MiB`;

/** Undefined for a path that the kernel takes for too long. */
function lstatIn(path: string | Buffer): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENAMETOOLONG') return undefined;
    throw thrown;
  }
}

/** One by one: a directory may hold more names than fit into memory. */
function* namesIn(path: string | Buffer): Generator<Buffer, void> {
  const dir = opendirSync(path, { encoding: 'latin1', bufferSize: 1024 });
  try {
    for (let next = dir.readSync(); next !== null; next = dir.readSync()) yield Buffer.from(next.name, 'latin1');
  } finally {
    dir.closeSync();
  }
}

function typeOf(stat: BigIntStats): PackedEntry['type'] | undefined {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'dir';
  return stat.isSymbolicLink() ? 'symlink' : undefined;
}

interface Seen {
  readonly path: string;
  readonly type: PackedEntry['type'];
  readonly stat: BigIntStats;
  readonly disk: string | Buffer;
  readonly shift: IdShift;
}

function entryOf({ path, type, stat, disk, shift }: Seen): FoundEntry {
  const uid = Number(stat.uid) - shift.uid;
  const gid = Number(stat.gid) - shift.gid;
  if (uid < 0 || gid < 0) throw new KilnError('INTERNAL', `${path} belongs to ${stat.uid}:${stat.gid} of the node`);
  const xattrs = type === 'symlink' ? undefined : readXattrs(disk, shift).kept;
  return {
    path,
    type,
    mode: type === 'symlink' ? 0o777 : Number(stat.mode) & 0o7777,
    uid,
    gid,
    mtime: stat.mtimeNs.toString(),
    ino: stat.ino.toString(),
    ...(type === 'file' ? { size: Number(stat.size), seen: seenOf(stat) } : {}),
    ...(type === 'symlink' ? { link: asText(readlinkSync(disk, 'buffer')) } : {}),
    ...(xattrs === undefined ? {} : { xattrs }),
  };
}

/** Two times the same: the same bytes, since ctime is the kernel's own. */
export const seenOf = ({ ino, ctimeNs }: BigIntStats): string => `${ino} ${ctimeNs}`;

/** Kernels tick at 100 Hz or more often: a younger file can change once more under the same ctime. */
const TICK_NS = 20_000_000n;

/** A mark that can be relied on: none for a file that is as young as that at `nowMs`. */
export function settledMark(seen: string | undefined, nowMs: number): string | undefined {
  return BigInt(seen?.split(' ')[1] ?? 0) < BigInt(nowMs) * 1_000_000n - TICK_NS ? seen : undefined;
}

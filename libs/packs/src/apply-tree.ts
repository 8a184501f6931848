import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  createReadStream,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { pipeline } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import { encodePath } from '#content';
import type { Digest } from '#oci';
import { filledParts, type IdShift, onDisk, setMtime, writeXattrs } from '#snapshot';
import { KilnError } from '#std';
import { type PackedEntry, type PackedTree, sameEntry, withPacksOf } from './packed-tree.ts';
import { seenOf, settledMark } from './walk-directory.ts';

export interface ApplyOptions {
  /** nobody else changes it meanwhile */
  readonly dir: string;
  readonly shift: IdShift;
  /** what it holds now, as a scan has it */
  readonly from: PackedTree;
  readonly to: PackedTree;
  /** files with the packs that {@link neededPacks} names */
  readonly packs: ReadonlyMap<Digest, string>;
}

/** Packs with bytes that `from` has not at the same place. */
export function neededPacks(from: PackedTree, to: PackedTree): ReadonlySet<Digest> {
  const needed = new Set<Digest>();
  for (const { pack, hardlink } of madeAnew(from, to)) {
    if (pack !== undefined && hardlink === undefined) needed.add(pack);
  }
  return needed;
}

/** All directories, since their mtimes change with what is in them, and whatever else is not the same. */
function madeAnew(from: PackedTree, to: PackedTree): readonly PackedEntry[] {
  const relinked = relinkedPaths(from, to);
  return [...to.entries.values()].filter(
    (entry) => entry.type === 'dir' || relinked.has(entry.path) || !sameEntry(entry, from.entries.get(entry.path)),
  );
}

/**
 * Makes a directory of another: what is the same stays, all else is removed and made anew. Entries come in their order and
 * every parent is a directory that was made or found here before, so nothing is ever written through a link.
 * @returns `to` with what a later scan needs to tell that nothing changed
 * @throws KilnError BLOB_CORRUPT when a pack does not hold what it should
 */
export async function applyTree({ dir, shift, from, to, packs }: ApplyOptions): Promise<PackedTree> {
  const disk = (path: string): string | Buffer => onDisk(dir, path);
  const made = madeAnew(from, to);
  const anew = new Set(made.map(({ path }) => path));
  for (const { path, type } of from.entries.values()) {
    const wanted = to.entries.get(path);
    if (wanted !== undefined && (!anew.has(path) || (type === 'dir' && wanted.type === 'dir'))) continue;
    rmSync(disk(path), { recursive: true, force: true });
  }
  for (const { path, type } of made) {
    if (path === '' || (type === 'dir' && from.entries.get(path)?.type === 'dir')) continue;
    // A device or a pipe, of which a scan knows nothing.
    if (from.entries.size > 0) rmSync(disk(path), { recursive: true, force: true });
    if (type === 'dir') mkdirSync(disk(path), { mode: 0o700 });
  }
  await writeFiles(made, packs, disk);
  for (const { path, type, link = '' } of made) if (type === 'symlink') symlinkSync(encodePath(link), disk(path));
  for (const entry of made) {
    if (entry.hardlink === undefined && entry.type !== 'dir') settle(disk(entry.path), entry, shift);
  }
  for (const { path, hardlink } of made) if (hardlink !== undefined) linkSync(disk(hardlink), disk(path));
  // Last, from the deepest: nothing is put into them any more.
  for (const entry of made.toReversed()) if (entry.type === 'dir') settle(disk(entry.path), entry, shift);
  return marked(to, disk);
}

/** Of files with several names that are not the same as before: all of their names are made anew. */
function relinkedPaths(from: PackedTree, to: PackedTree): ReadonlySet<string> {
  const groups = new Map<string, string[]>();
  for (const tree of [from, to]) {
    for (const { path, hardlink } of tree.entries.values()) {
      if (hardlink !== undefined) groups.set(hardlink, [...(groups.get(hardlink) ?? [hardlink]), path]);
    }
  }
  const relinked = new Set<string>();
  for (const group of groups.values()) {
    const changed = group.some((path) => !sameEntry(from.entries.get(path), to.entries.get(path)));
    if (changed) for (const path of group) relinked.add(path);
  }
  return relinked;
}

type OnDisk = (path: string) => string | Buffer;

async function writeFiles(
  made: readonly PackedEntry[],
  packs: ReadonlyMap<Digest, string>,
  disk: OnDisk,
): Promise<void> {
  const byPack = new Map<Digest, PackedEntry[]>();
  for (const entry of made) {
    if (entry.type !== 'file' || entry.hardlink !== undefined) continue;
    if (entry.pack === undefined) closeSync(openNew(disk(entry.path)));
    else {
      const group = byPack.get(entry.pack);
      if (group === undefined) byPack.set(entry.pack, [entry]);
      else group.push(entry);
    }
  }
  for (const [digest, entries] of byPack) {
    const file = packs.get(digest);
    if (file === undefined) throw new KilnError('INTERNAL', `the pack ${digest} was not fetched`);
    await unpack(
      digest,
      file,
      entries.toSorted((a, b) => (a.at ?? 0) - (b.at ?? 0)),
      disk,
    );
  }
}

/** @param entries in order of where they begin; those that begin at one point are the same file */
async function unpack(digest: Digest, file: string, entries: readonly PackedEntry[], disk: OnDisk): Promise<void> {
  const reader = new PackReader(file);
  let last: PackedEntry | undefined;
  try {
    for (const entry of entries) {
      if (last !== undefined && last.at === entry.at) {
        if (last.digest !== entry.digest)
          throw new KilnError('BLOB_CORRUPT', `the pack ${digest} holds two files at one place`);
        copyFileSync(disk(last.path), disk(entry.path), constants.COPYFILE_EXCL);
        continue;
      }
      last = entry;
      await reader.copy(entry.at ?? 0, entry.size ?? 0, disk(entry.path));
    }
  } finally {
    await reader.close();
  }
}

/** What is in a pack, from its beginning on. */
class PackReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #left: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(file: string) {
    const stream: AsyncIterable<Buffer> = pipeline(createReadStream(file), createZstdDecompress(), () => {});
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async copy(at: number, size: number, path: string | Buffer): Promise<void> {
    if (at < this.#at) throw new KilnError('BLOB_CORRUPT', 'files of a pack overlap');
    while (this.#at < at) await this.#take(at - this.#at);
    const file = openNew(path);
    try {
      for (let done = 0; done < size; ) {
        const piece = await this.#take(size - done);
        for (const { from, to } of filledParts(piece)) {
          for (let next = from; next < to; ) next += writeSync(file, piece, next, to - next, done + next);
        }
        done += piece.length;
      }
      ftruncateSync(file, size);
    } finally {
      closeSync(file);
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #take(limit: number): Promise<Buffer> {
    while (this.#left.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) throw new KilnError('BLOB_CORRUPT', 'a pack is shorter than it should be');
      this.#left = next.value;
    }
    const piece = this.#left.subarray(0, limit);
    this.#left = this.#left.subarray(piece.length);
    this.#at += piece.length;
    return piece;
  }
}

/** @throws EEXIST when something is there, a link included */
const openNew = (path: string | Buffer): number =>
  openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);

/** Owner first: changing it clears set-id bits and capabilities. */
function settle(path: string | Buffer, { type, mode, uid, gid, mtime, xattrs }: PackedEntry, shift: IdShift): void {
  lchownSync(path, uid + shift.uid, gid + shift.gid);
  if (type !== 'symlink') {
    writeXattrs(path, xattrs ?? {}, shift);
    chmodSync(path, mode);
  }
  setMtime(path, BigInt(mtime));
}

function marked(tree: PackedTree, disk: OnDisk): PackedTree {
  const nowMs = Date.now();
  const entries = new Map<string, PackedEntry>();
  for (const entry of tree.entries.values()) {
    const seen =
      entry.type === 'file' ? settledMark(seenOf(lstatSync(disk(entry.path), { bigint: true })), nowMs) : undefined;
    entries.set(entry.path, { ...entry, seen });
  }
  return withPacksOf(entries, [tree.packs]);
}

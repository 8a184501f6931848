import type { Digest } from '#oci';

/** One file of a directory that is kept in packs. Paths are as in trees of `#content`; the directory itself is ``. */
export interface PackedEntry {
  readonly path: string;
  readonly type: 'file' | 'dir' | 'symlink';
  /** permission bits with setuid, setgid and sticky */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** nanoseconds since the epoch, in decimal: tools compare times of their caches */
  readonly mtime: string;
  /** file: bytes */
  readonly size?: number | undefined;
  /** file: of its bytes */
  readonly digest?: Digest | undefined;
  /** file that is not empty: the pack with its bytes, and where they begin in what is packed */
  readonly pack?: Digest | undefined;
  readonly at?: number | undefined;
  /** symlink: its target */
  readonly link?: string | undefined;
  /** name to value in base64 */
  readonly xattrs?: Readonly<Record<string, string>> | undefined;
  /** file: path of the first name of the same file, where this is a further one */
  readonly hardlink?: string | undefined;
  /** on its own node alone: inode and ctime of the file when it was digested */
  readonly seen?: string | undefined;
}

export interface Pack {
  readonly digest: Digest;
  /** of the blob */
  readonly sizeBytes: number;
  /** of what is in it */
  readonly rawBytes: number;
}

/** A directory: its entries by path, in order of paths, and the packs that hold their bytes. */
export interface PackedTree {
  readonly packs: ReadonlyMap<Digest, Pack>;
  readonly entries: ReadonlyMap<string, PackedEntry>;
}

export const emptyTree: PackedTree = { packs: new Map(), entries: new Map() };

/** More names than this are a directory that no package manager makes: it stays where it is. */
export const MAX_ENTRIES = 300_000;

/** Whether two entries are the same file, wherever its bytes are kept. Directories change their mtime with every use. */
export function sameEntry(a: PackedEntry | undefined, b: PackedEntry | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.type === b.type &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    (a.type === 'dir' || a.mtime === b.mtime) &&
    a.digest === b.digest &&
    a.link === b.link &&
    a.hardlink === b.hardlink &&
    JSON.stringify(a.xattrs) === JSON.stringify(b.xattrs)
  );
}

/** Only the packs that the entries are in. */
export function withPacksOf(
  entries: ReadonlyMap<string, PackedEntry>,
  from: Iterable<ReadonlyMap<Digest, Pack>>,
): PackedTree {
  const packs = new Map<Digest, Pack>();
  const known = [...from];
  for (const { pack: digest } of entries.values()) {
    if (digest === undefined || packs.has(digest)) continue;
    const pack = known.map((all) => all.get(digest)).find((found) => found !== undefined);
    if (pack !== undefined) packs.set(digest, pack);
  }
  return { packs, entries };
}

/** Bytes of all files; what has several names counts once. */
export function bytesOf({ entries }: PackedTree): number {
  let sum = 0;
  for (const { size = 0, hardlink } of entries.values()) if (hardlink === undefined) sum += size;
  return sum;
}

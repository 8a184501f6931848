import { readdirSync, readlinkSync, type Stats } from 'node:fs';
import { comparePaths, type DeltaEntry, joinPath, parentOf } from '#content';
import type { Digest } from '#oci';
import { KilnError } from '#std';
import { asText, onDisk } from './on-disk.ts';
import { hashFile } from './hash-file.ts';
import { statOf } from './resolve-in-root.ts';
import type { IdShift } from './snapshotter.ts';
import { deviceOf, sameOwnerAndMode, seconds, typeOf } from './stat.ts';
import { type DiskXattrs, readXattrs } from './xattrs.ts';

export interface DiffRequest {
  /** the directory with a snapshot's own changes */
  readonly upper: string;
  /** the mounted view of what lies below it; null when nothing does */
  readonly lower: string | null;
  readonly shift: IdShift;
  /** Called for every file and every piece of one; throws to stop. */
  readonly check?: () => void;
}

interface Found {
  readonly path: string;
  readonly stat: Stats;
  readonly xattrs: DiskXattrs;
  readonly opaque: boolean;
  changed: boolean;
  digest?: Digest;
}

const OPAQUE = 'trusted.overlay.opaque';
/** Overlay features that leave part of a change out of the upper directory. */
const foreign = ['trusted.overlay.redirect', 'trusted.overlay.metacopy'];

/**
 * What an overlay's upper directory changes, in order of paths. Files that were only copied up are left out, parents of
 * a change are in, as containerd's overlay differ has it; sockets are never in. It reads all changed files and blocks
 * meanwhile: call it in a worker.
 * @throws KilnError INTERNAL when the overlay was mounted with redirect_dir or metacopy
 */
export function diffUpper(request: DiffRequest): readonly DeltaEntry[] {
  const walk = new UpperWalk(request);
  walk.root();
  return walk.entries();
}

class UpperWalk {
  readonly #request: DiffRequest;
  readonly #found: Found[] = [];
  readonly #whiteouts: string[] = [];

  constructor(request: DiffRequest) {
    this.#request = request;
  }

  root(): void {
    const { upper, lower } = this.#request;
    const stat = statOf(upper);
    if (stat === undefined) throw new KilnError('INTERNAL', `no directory ${upper}`);
    const below = lower === null ? undefined : statOf(lower);
    const xattrs = this.#xattrs('');
    const changed = below === undefined ? !this.#isPlainRoot(stat) : !sameOwnerAndMode(stat, below);
    this.#found.push({ path: '', stat, xattrs, opaque: false, changed });
    this.#directory('', below?.isDirectory() === true);
  }

  entries(): readonly DeltaEntry[] {
    this.#completeLinks();
    const wanted = this.#withParents();
    const first = new Map<number, string>();
    const entries: DeltaEntry[] = this.#whiteouts.map((path) => ({ path, type: 'whiteout' }));
    for (const found of this.#found.sort((a, b) => comparePaths(a.path, b.path))) {
      if (!wanted.has(found.path)) continue;
      const linked = found.stat.isFile() && found.stat.nlink > 1 ? first.get(found.stat.ino) : undefined;
      if (linked === undefined) first.set(found.stat.ino, found.path);
      entries.push(this.#entry(found, linked));
    }
    return entries.sort((a, b) => comparePaths(a.path, b.path));
  }

  #directory(dir: string, hasLower: boolean): void {
    for (const bytes of readdirSync(onDisk(this.#request.upper, dir), { encoding: 'buffer' })) {
      this.#request.check?.();
      this.#visit(joinPath(dir, asText(bytes)), hasLower);
    }
  }

  /** @param hasLower whether the lower view has the same directory, itself and not hidden or replaced */
  #visit(path: string, hasLower: boolean): void {
    const stat = statOf(onDisk(this.#request.upper, path));
    if (stat === undefined || stat.isSocket()) return;
    const { lower } = this.#request;
    const below = hasLower && lower !== null ? statOf(onDisk(lower, path)) : undefined;
    if (stat.isCharacterDevice() && stat.rdev === 0) {
      if (below !== undefined) this.#whiteouts.push(path);
      return;
    }
    const xattrs = this.#xattrs(path);
    const merges = stat.isDirectory() && below?.isDirectory() === true;
    const opaque = merges && xattrs.names.includes(OPAQUE);
    const found: Found = { path, stat, xattrs, opaque, changed: true };
    found.changed = opaque || below === undefined || !this.#same(found, below);
    this.#found.push(found);
    if (stat.isDirectory()) this.#directory(path, merges && !opaque);
  }

  #xattrs(path: string): DiskXattrs {
    const xattrs = readXattrs(onDisk(this.#request.upper, path), this.#request.shift);
    const bad = xattrs.names.find((name) => foreign.includes(name));
    if (bad !== undefined)
      throw new KilnError('INTERNAL', `the overlay's upper directory is not whole: ${path} has ${bad}`);
    return xattrs;
  }

  /** Whether layers would tell the two apart: directories by all but mtime, the rest by all, its mtime in whole seconds. */
  #same(found: Found, below: Stats): boolean {
    const { upper, lower, shift } = this.#request;
    const { path, stat } = found;
    if (lower === null || !sameOwnerAndMode(stat, below) || stat.rdev !== below.rdev) return false;
    if (!sameXattrs(found.xattrs, readXattrs(onDisk(lower, path), shift))) return false;
    if (stat.isDirectory()) return true;
    if (seconds(stat) !== seconds(below) || stat.size !== below.size) return false;
    if (stat.isSymbolicLink()) {
      return readlinkSync(onDisk(upper, path), 'buffer').equals(readlinkSync(onDisk(lower, path), 'buffer'));
    }
    return !stat.isFile() || this.#digest(found) === hashFile(onDisk(lower, path), this.#request.check);
  }

  #isPlainRoot(stat: Stats): boolean {
    const { shift } = this.#request;
    return (stat.mode & 0o7777) === 0o755 && stat.uid === shift.uid && stat.gid === shift.gid;
  }

  /** A name of a file that changed or got a name carries all names of it, or the layer would break the link. */
  #completeLinks(): void {
    const linked = this.#found.filter(({ stat }) => stat.isFile() && stat.nlink > 1);
    const changed = new Set(linked.filter((found) => found.changed).map(({ stat }) => stat.ino));
    for (const found of linked) found.changed ||= changed.has(found.stat.ino);
  }

  #withParents(): ReadonlySet<string> {
    const wanted = new Set<string>();
    const changed = this.#found.filter((found) => found.changed).map(({ path }) => path);
    for (const path of changed) wanted.add(path);
    for (const path of [...changed, ...this.#whiteouts]) {
      // The root stands for itself only where it changed: archives rarely name it.
      for (let parent = parentOf(path); parent !== '' && !wanted.has(parent); parent = parentOf(parent))
        wanted.add(parent);
    }
    return wanted;
  }

  #entry(found: Found, hardlink: string | undefined): DeltaEntry {
    const { path, stat, xattrs, opaque } = found;
    const { upper, shift } = this.#request;
    const type = typeOf(stat);
    if (type === undefined) throw new KilnError('INTERNAL', `${path}: unknown type of file`);
    if (stat.uid < shift.uid || stat.gid < shift.gid) {
      throw new KilnError('INTERNAL', `${path} belongs to ${stat.uid}:${stat.gid} of the node, not to the snapshot`);
    }
    return {
      path,
      type,
      mode: stat.mode & 0o7777,
      uid: stat.uid - shift.uid,
      gid: stat.gid - shift.gid,
      mtime: seconds(stat),
      ...(type === 'file' ? { size: stat.size, digest: this.#digest(found) } : {}),
      ...(type === 'symlink' ? { link: asText(readlinkSync(onDisk(upper, path), 'buffer')) } : {}),
      ...(type === 'char' || type === 'block' ? { device: deviceOf(stat.rdev) } : {}),
      ...(xattrs.kept === undefined ? {} : { xattrs: xattrs.kept }),
      ...(opaque ? { opaque } : {}),
      ...(hardlink === undefined ? {} : { hardlink }),
    };
  }

  #digest(found: Found): Digest {
    return (found.digest ??= hashFile(onDisk(this.#request.upper, found.path), this.#request.check));
  }
}

const sameXattrs = (a: DiskXattrs, b: DiskXattrs): boolean => JSON.stringify(a.kept) === JSON.stringify(b.kept);

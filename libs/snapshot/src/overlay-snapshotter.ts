import { chmodSync, lchownSync, lstatSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { KilnError } from '#std';
import { removeTree } from './remove-tree.ts';
import { SnapshotFolder } from './snapshot-folder.ts';
import type { IdShift, Mount, Snapshotter } from './snapshotter.ts';
import { writeXattrs, readXattrs } from './xattrs.ts';

interface Snapshot {
  readonly id: string;
  /** the committed one below */
  readonly parent: string | null;
}

export interface OverlaySnapshotterOptions {
  /** a directory of this process alone; root, on a file system that overlayfs takes as upper (ext4, xfs, btrfs) */
  readonly root: string;
  readonly shift: IdShift;
}

/**
 * Snapshots as directories on this node. Committed ones outlive the process. They do not outlive the machine's uptime:
 * nothing is synced when a snapshot is committed, so after a crash of the machine they could be torn, and all of them
 * can be made again from layers.
 */
export class OverlaySnapshotter implements Snapshotter {
  readonly #folder: SnapshotFolder;
  readonly #shift: IdShift;
  readonly #committed = new Map<string, Snapshot>();
  readonly #active = new Map<string, Snapshot>();

  private constructor(folder: SnapshotFolder, shift: IdShift) {
    this.#folder = folder;
    this.#shift = shift;
  }

  /** Takes up what an earlier process committed and removes what it left unfinished. */
  static async open({ root, shift }: OverlaySnapshotterOptions): Promise<OverlaySnapshotter> {
    const folder = await SnapshotFolder.open(root, shift);
    const snapshotter = new OverlaySnapshotter(folder, shift);
    for (const { id, name, parent } of folder.found) snapshotter.#committed.set(name, { id, parent });
    return snapshotter;
  }

  async prepare(key: string, parent: string | null): Promise<readonly Mount[]> {
    if (this.#active.has(key)) throw new KilnError('CONFLICT', `the snapshot ${key} is active already`);
    const below = parent === null ? undefined : this.#known(parent);
    const snapshot: Snapshot = { id: this.#folder.nextId(), parent };
    // Before anything waits: a parent of an active snapshot is not removed.
    this.#active.set(key, snapshot);
    const upper = this.#folder.upper(snapshot.id);
    try {
      await mkdir(upper, { recursive: true });
      this.#likeRootOf(upper, below);
      if (parent !== null) await mkdir(this.#folder.work(snapshot.id));
    } catch (thrown) {
      this.#active.delete(key);
      await removeTree(this.#folder.dir(snapshot.id));
      throw thrown;
    }
    if (parent === null) return [{ kind: 'bind', source: upper, readonly: false }];
    return [{ kind: 'overlay', lower: this.#uppers(parent), upper, work: this.#folder.work(snapshot.id) }];
  }

  view(name: string): Promise<readonly Mount[]> {
    return Promise.resolve().then(() => {
      this.#known(name);
      const [top, ...others] = this.#uppers(name);
      if (top === undefined) throw new KilnError('INTERNAL', `no directories for ${name}`);
      // An overlay without upper directory takes two lower ones at least.
      return others.length === 0
        ? [{ kind: 'bind', source: top, readonly: true } as const]
        : [{ kind: 'overlay', lower: [top, ...others] } as const];
    });
  }

  async commit(name: string, key: string): Promise<void> {
    const snapshot = this.#active.get(key);
    if (snapshot === undefined) throw missing(key);
    if (this.#committed.has(name)) return await this.remove(key);
    await removeTree(this.#folder.work(snapshot.id));
    await this.#folder.describe(snapshot.id, { name, parent: snapshot.parent });
    this.#active.delete(key);
    this.#committed.set(name, snapshot);
  }

  has(name: string): boolean {
    return this.#committed.has(name);
  }

  names(): readonly string[] {
    return [...this.#committed.keys()];
  }

  parentOf(name: string): string | null {
    return this.#known(name).parent;
  }

  upperOf(keyOrName: string): string {
    const snapshot = this.#active.get(keyOrName) ?? this.#committed.get(keyOrName);
    if (snapshot === undefined) throw missing(keyOrName);
    return this.#folder.upper(snapshot.id);
  }

  async remove(keyOrName: string): Promise<void> {
    const active = this.#active.get(keyOrName);
    if (active !== undefined) {
      this.#active.delete(keyOrName);
      return await this.#discard(active.id);
    }
    const { id } = this.#known(keyOrName);
    for (const snapshot of [...this.#active.values(), ...this.#committed.values()]) {
      if (snapshot.parent === keyOrName) throw new KilnError('CONFLICT', `the snapshot ${keyOrName} has others on top`);
    }
    this.#committed.delete(keyOrName);
    await this.#discard(id);
  }

  /** Gone at once under its name, whenever the process dies; the files follow. */
  async #discard(id: string): Promise<void> {
    const trash = join(this.#folder.trash, id);
    await rename(this.#folder.dir(id), trash);
    await removeTree(trash);
  }

  #known(name: string): Snapshot {
    const snapshot = this.#committed.get(name);
    if (snapshot === undefined) throw missing(name);
    return snapshot;
  }

  /** Its directories, topmost first. */
  #uppers(name: string): readonly string[] {
    const uppers: string[] = [];
    for (let at: string | null = name; at !== null; ) {
      const snapshot: Snapshot = this.#known(at);
      uppers.push(this.#folder.upper(snapshot.id));
      at = snapshot.parent;
    }
    return uppers;
  }

  /** An overlay's root has its topmost directory's owner and mode, so those are handed up. */
  #likeRootOf(upper: string, below: Snapshot | undefined): void {
    if (below === undefined) {
      lchownSync(upper, this.#shift.uid, this.#shift.gid);
      chmodSync(upper, 0o755);
      return;
    }
    const source = this.#folder.upper(below.id);
    const { mode, uid, gid } = lstatSync(source);
    lchownSync(upper, uid, gid);
    writeXattrs(upper, readXattrs(source, this.#shift).kept ?? {}, this.#shift);
    chmodSync(upper, mode & 0o7777);
  }
}

function missing(name: string): KilnError {
  return new KilnError('NOT_FOUND', `no snapshot ${name}`);
}

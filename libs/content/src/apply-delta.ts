import { comparePaths, parentOf } from './path.ts';
import type { DeltaEntry, Tree, TreeEntry } from './tree.ts';

/** A directory that nobody described, as unpackers make it. */
export function impliedDirectory(path: string): TreeEntry {
  return { path, type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0 };
}

/** What a delta takes from the tree below it. */
export interface Removals {
  /** these and all below */
  readonly subtrees: ReadonlySet<string>;
  /** all below these, not they */
  readonly contents: ReadonlySet<string>;
}

export function removalsOf(delta: readonly DeltaEntry[]): Removals {
  const subtrees = new Set<string>();
  const contents = new Set<string>();
  for (const entry of delta) {
    if (entry.type === 'whiteout') subtrees.add(entry.path);
    else if (entry.type !== 'dir' || entry.opaque === true) contents.add(entry.path);
  }
  return { subtrees, contents };
}

/** One answer a directory, so that a tree costs its size once, however many whiteouts there are. */
export function hiddenBy({ subtrees, contents }: Removals): (path: string) => boolean {
  const below = new Map<string, boolean>();
  const belowIsHidden = (directory: string): boolean => {
    const known = below.get(directory);
    if (known !== undefined) return known;
    const hidden =
      contents.has(directory) || subtrees.has(directory) || (directory !== '' && belowIsHidden(parentOf(directory)));
    below.set(directory, hidden);
    return hidden;
  };
  return (path) => subtrees.has(path) || (path !== '' && belowIsHidden(parentOf(path)));
}

/** Adds the directories above `path` that are not there; a file in such a place gives way, as on an overlay. */
function addParents(entries: Map<string, TreeEntry>, path: string): void {
  for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
    if (entries.get(above)?.type === 'dir') return;
    entries.set(above, impliedDirectory(above));
  }
}

/** Names of one file whose first name is gone or is another file now: the first that is left leads. */
function regroup(before: Tree, after: Map<string, TreeEntry>): void {
  const leaders = new Map<string, string>();
  for (const [path, entry] of after) {
    if (entry.hardlink === undefined || before.get(path) !== entry) continue;
    if (after.get(entry.hardlink) === before.get(entry.hardlink)) continue;
    const leader = leaders.get(entry.hardlink);
    if (leader === undefined) leaders.set(entry.hardlink, path);
    after.set(path, { ...entry, hardlink: leader });
  }
}

/** What the caller gave without the mark that only a layer has. */
function asTreeEntry(entry: Exclude<DeltaEntry, { type: 'whiteout' }>): TreeEntry {
  if (entry.opaque === undefined) return entry;
  const { opaque: _, ...rest } = entry;
  return rest;
}

/**
 * The tree after a layer (OCI image spec, "Layer filesystem changeset"): a whiteout removes a subtree of the tree below,
 * an opaque directory all that lay in it, anything that is no directory what lay below its path; a directory on a
 * directory keeps what is in it. Missing parents are made (0755, 0:0, mtime 0). In order of paths.
 */
export function applyDelta(tree: Tree, delta: readonly DeltaEntry[]): Tree {
  const hidden = hiddenBy(removalsOf(delta));
  const kept = new Map<string, TreeEntry>();
  for (const [path, entry] of tree) if (!hidden(path)) kept.set(path, entry);
  for (const entry of delta) {
    if (entry.type === 'whiteout') continue;
    addParents(kept, entry.path);
    kept.set(entry.path, asTreeEntry(entry));
  }
  const ordered = new Map([...kept].sort(([a], [b]) => comparePaths(a, b)));
  regroup(tree, ordered);
  return ordered;
}

import { comparePaths, parentOf } from '#content';
import { type PackedEntry, type PackedTree, sameEntry, withPacksOf } from './packed-tree.ts';

export interface Merging {
  /** what both come from, or nothing */
  readonly base: PackedTree;
  readonly theirs: PackedTree;
  readonly ours: PackedTree;
}

/**
 * What two made of the same directory, path by path: where we changed nothing it is theirs, else ours. What only one of
 * them added is there; what one removed and the other left alone is gone; where both wrote, ours is the last.
 */
export function mergeTrees({ base, theirs, ours }: Merging): PackedTree {
  const merged = new Map<string, PackedEntry>();
  const paths = [...new Set([...theirs.entries.keys(), ...ours.entries.keys()])].sort(comparePaths);
  for (const path of paths) {
    const own = ours.entries.get(path);
    const entry = sameEntry(base.entries.get(path), own) ? theirs.entries.get(path) : own;
    if (entry !== undefined && placed(parentOf(path), merged, theirs, ours)) merged.set(path, entry);
  }
  const ordered = [...merged.values()].sort((a, b) => comparePaths(a.path, b.path));
  return withPacksOf(unlinked(ordered), [ours.packs, theirs.packs]);
}

/** Sees to it that a directory is there for what lies in it; not where a file or a link took its place. */
function placed(dir: string, merged: Map<string, PackedEntry>, theirs: PackedTree, ours: PackedTree): boolean {
  const found = merged.get(dir);
  if (found !== undefined || dir === '') return found === undefined || found.type === 'dir';
  const entry = ours.entries.get(dir) ?? theirs.entries.get(dir);
  if (entry?.type !== 'dir' || !placed(parentOf(dir), merged, theirs, ours)) return false;
  merged.set(dir, entry);
  return true;
}

/** Further names of files that came apart are files of their own. */
function unlinked(entries: readonly PackedEntry[]): ReadonlyMap<string, PackedEntry> {
  const kept = new Map<string, PackedEntry>();
  for (const entry of entries) {
    const first = entry.hardlink === undefined ? undefined : kept.get(entry.hardlink);
    const linked = first?.type === 'file' && first.hardlink === undefined && first.digest === entry.digest;
    kept.set(entry.path, linked || entry.hardlink === undefined ? entry : { ...entry, hardlink: undefined });
  }
  return kept;
}

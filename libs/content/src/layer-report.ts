import { hiddenBy, removalsOf } from './apply-delta.ts';
import { comparePaths } from './path.ts';
import type { DeltaEntry, Tree, TreeEntry } from './tree.ts';

export interface SizedFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** What one layer of an image brings. */
export interface LayerReport {
  readonly files: number;
  /** of the files as they lie on a disk, a file with several names once */
  readonly sizeBytes: number;
  /** of those that a later layer removes or replaces: pulled by everybody, seen by nobody */
  readonly wastedBytes: number;
  /** the largest files, the largest first */
  readonly largest: readonly SizedFile[];
}

const LARGEST = 10;

/** Of each layer of an image, from the first. */
export function layerReports(deltas: readonly (readonly DeltaEntry[])[]): readonly LayerReport[] {
  const wasted = deltas.map(() => 0);
  const seen = new Map<string, { readonly layer: number; readonly sizeBytes: number }>();
  const hide = (path: string): void => {
    const { layer, sizeBytes } = seen.get(path) ?? { layer: 0, sizeBytes: 0 };
    wasted[layer] = (wasted[layer] ?? 0) + sizeBytes;
    seen.delete(path);
  };
  for (const [layer, delta] of deltas.entries()) {
    const hidden = hiddenBy(removalsOf(delta));
    for (const path of [...seen.keys()]) if (hidden(path)) hide(path);
    for (const entry of delta) {
      if (entry.type !== 'file') continue;
      if (seen.has(entry.path)) hide(entry.path);
      seen.set(entry.path, { layer, sizeBytes: ownBytes(entry) });
    }
  }
  return deltas.map((delta, layer) => {
    const files = delta.flatMap((entry) => (entry.type === 'file' ? [entry] : []));
    const sized = files.map((entry) => ({ path: entry.path, sizeBytes: ownBytes(entry) }));
    const largest = sized
      .toSorted((a, b) => b.sizeBytes - a.sizeBytes || comparePaths(a.path, b.path))
      .slice(0, LARGEST);
    const sizeBytes = sized.reduce((sum, file) => sum + file.sizeBytes, 0);
    return {
      files: files.length,
      sizeBytes,
      wastedBytes: wasted[layer] ?? 0,
      largest: largest.filter((file) => file.sizeBytes > 0),
    };
  });
}

const ownBytes = ({ size = 0, hardlink }: TreeEntry): number => (hardlink === undefined ? size : 0);

/** Something that is not the same in two trees; bytes of files, null where there is none. */
export interface TreeChange {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly before: number | null;
  readonly after: number | null;
}

/** What another tree has that this one has not, and the other way round, in order of paths; times do not count. */
export function treeChanges(before: Tree, after: Tree): readonly TreeChange[] {
  const changes: TreeChange[] = [];
  for (const [path, entry] of before) {
    const now = after.get(path);
    if (now === undefined) changes.push({ path, change: 'removed', before: bytesOf(entry), after: null });
    else if (!same(entry, now)) changes.push({ path, change: 'changed', before: bytesOf(entry), after: bytesOf(now) });
  }
  for (const [path, entry] of after)
    if (!before.has(path)) changes.push({ path, change: 'added', before: null, after: bytesOf(entry) });
  return changes.sort((a, b) => comparePaths(a.path, b.path));
}

const bytesOf = (entry: TreeEntry): number | null => (entry.type === 'file' ? (entry.size ?? 0) : null);

function same(one: TreeEntry, other: TreeEntry): boolean {
  const { mtime: _one, ...rest } = one;
  const { mtime: _other, ...others } = other;
  return JSON.stringify(Object.entries(rest).sort()) === JSON.stringify(Object.entries(others).sort());
}

import type { Tree, TreeEntry } from '#content';
import { type Selection, selectionListing, type SelectOptions, selectSources } from '#context';
import type { ExecOp } from '#graph';
import { type Digest, digestOf } from '#oci';
import { KilnError } from '#std';

/** What a mount shows of a tree. */
export interface Shown {
  readonly selection: Selection;
  /** the mounted directory itself; undefined for a file */
  readonly directory: TreeEntry | undefined;
}

const ROOT: TreeEntry = { path: '', type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0 };

/** A path as a pattern that means it alone. */
export const exactPattern = (path: string): string => path.replace(/[\\*?[\]]/g, '\\$&');

/** @throws KilnError SOURCE_NOT_FOUND */
export function shown(tree: Tree, source: string, options: SelectOptions = {}): Shown {
  const [selection] = selectSources(tree, [exactPattern(source)], options);
  if (selection === undefined) throw new KilnError('SOURCE_NOT_FOUND', `/${source}: not found`);
  const directory = selection.directory ? (tree.get(selection.resolved) ?? ROOT) : undefined;
  return { selection, directory };
}

/** What a mount shows, as a listing: the file or directory at `source`, links on the way followed, with all below it. */
export function shownListing({ selection, directory }: Shown): string {
  return selectionListing([selection], directory);
}

/** The digest of its bytes. */
export function shownDigest(tree: Tree, source: string, options: SelectOptions = {}): Digest {
  return digestOf(shownListing(shown(tree, source, options)));
}

/** Where in the tree of an input a mount of a step begins. */
export function mountedSource({ mounts = [] }: ExecOp, input: number): string {
  const found = mounts.find((mount) => (mount.type === 'bind' || mount.type === 'cache') && mount.input === input);
  if (found?.type === 'bind' || found?.type === 'cache') return found.source;
  throw new KilnError('INTERNAL', `no mount takes the input ${input}`);
}

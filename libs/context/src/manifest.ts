import {
  comparePaths,
  decodeLines,
  encodeLines,
  entryJson,
  parentOf,
  type Tree,
  type TreeEntry,
  treeEntrySchema,
} from '#content';
import { KilnError } from '#std';
import type { IgnoreRules, IgnoreState } from './ignore.ts';

/**
 * The files of a context, in order of paths, without the root itself; every parent is there and is a directory. Owner and
 * group are 0, there are no devices and no extended attributes: what a checkout has by accident is in no key. Further names of
 * a file name the first.
 */
export interface ContextManifest {
  readonly version: 1;
  readonly entries: readonly TreeEntry[];
}

export const manifestFormat = {
  header: '{"kind":"context","version":1}',
  what: 'a context manifest',
  schema: treeEntrySchema,
};

export const refuseEntry = (entry: TreeEntry, why: string): KilnError =>
  new KilnError('CONTEXT_INVALID', `context entry ${JSON.stringify(entry.path)} ${why}`);

/** @throws KilnError CONTEXT_INVALID for what no context has, wherever it stands */
export function checkEntry(entry: TreeEntry): void {
  if (entry.path === '') throw refuseEntry(entry, 'is the root');
  if (entry.type === 'char' || entry.type === 'block') throw refuseEntry(entry, 'is a device');
  if (entry.uid !== 0 || entry.gid !== 0) throw refuseEntry(entry, 'has an owner');
  if (entry.xattrs !== undefined) throw refuseEntry(entry, 'has attributes');
}

/** What holds of a manifest's entries as they come in order of their paths. */
export class EntryChecks {
  readonly #directories = new Set(['']);
  readonly #files = new Map<string, TreeEntry>();
  #before: string | undefined;

  /** @throws KilnError CONTEXT_INVALID for one that cannot stand behind those before it */
  add(entry: TreeEntry): void {
    checkEntry(entry);
    if (entry.path === this.#before) throw refuseEntry(entry, 'is there twice');
    if (!this.#directories.has(parentOf(entry.path)))
      throw refuseEntry(entry, 'lies in something that is no directory');
    this.#checkLink(entry);
    if (entry.type === 'dir') this.#directories.add(entry.path);
    else this.#files.set(entry.path, entry);
    this.#before = entry.path;
  }

  /** A further name is that of a file before it, which it is like in all but its path. */
  #checkLink(entry: TreeEntry): void {
    if (entry.hardlink === undefined) return;
    const first = this.#files.get(entry.hardlink);
    const same = first?.type === 'file' && first.hardlink === undefined && first.digest === entry.digest;
    if (entry.type !== 'file' || !same || first.mode !== entry.mode)
      throw refuseEntry(entry, `is no other name of ${JSON.stringify(entry.hardlink)}`);
  }
}

/**
 * A manifest of entries in any order.
 * @throws KilnError CONTEXT_INVALID naming an entry that cannot stand in one
 */
export function makeManifest(entries: Iterable<TreeEntry>): ContextManifest {
  const ordered = [...entries].sort((a, b) => comparePaths(a.path, b.path));
  const checks = new EntryChecks();
  for (const entry of ordered) checks.add(entry);
  return { version: 1, entries: ordered };
}

/** A header line `{"kind":"context","version":1}`, then an entry a line as canonical JSON. */
export function encodeManifest(manifest: ContextManifest): Buffer {
  return encodeLines(manifestFormat.header, manifest.entries.map(entryJson));
}

/** @throws KilnError INVALID_ARGUMENT, CONTEXT_INVALID for anything that {@link encodeManifest} does not write */
export function decodeManifest(bytes: Uint8Array): ContextManifest {
  const entries = decodeLines<TreeEntry>(bytes, manifestFormat);
  const manifest = makeManifest(entries);
  if (manifest.entries.some((entry, index) => entry !== entries[index])) {
    throw new KilnError('INVALID_ARGUMENT', `${manifestFormat.what}: its entries are out of order`);
  }
  return manifest;
}

/** The same files by path. */
export function treeOf(manifest: ContextManifest): Tree {
  return new Map(manifest.entries.map((entry) => [entry.path, entry]));
}

/** What the rules leave; directories above something that is left stay. */
export function filterManifest(manifest: ContextManifest, rules: IgnoreRules): ContextManifest {
  const states = new Map<string, IgnoreState>([['', rules.root]]);
  const kept = new Set<string>();
  for (const { path, type } of manifest.entries) {
    const state = rules.enter(states.get(parentOf(path)) ?? rules.root, path);
    if (type === 'dir') states.set(path, state);
    if (state.ignored) continue;
    for (let at = path; at !== '' && !kept.has(at); at = parentOf(at)) kept.add(at);
  }
  return { version: 1, entries: relinked(manifest.entries.filter(({ path }) => kept.has(path))) };
}

/** Of the names of a file that are left, the first is the file. */
function relinked(entries: readonly TreeEntry[]): readonly TreeEntry[] {
  const firsts = new Map<string, string>();
  return entries.map((entry) => {
    if (entry.type === 'file' && entry.hardlink === undefined) firsts.set(entry.path, entry.path);
    if (entry.hardlink === undefined) return entry;
    const hardlink = firsts.get(entry.hardlink);
    if (hardlink !== undefined) return { ...entry, hardlink };
    firsts.set(entry.hardlink, entry.path);
    const { hardlink: _, ...first } = entry;
    return first;
  });
}

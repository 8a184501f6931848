import { joinPath, parentOf } from '#content';
import { type Digest, DigestSchema } from '#oci';
import { z } from 'zod';
import type { Selection } from './select-sources.ts';

/** A file as a listing has it. */
export interface ListedFile {
  readonly type: 'file' | 'dir' | 'symlink' | 'char' | 'block' | 'fifo';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly digest?: Digest | undefined;
  readonly link?: string | undefined;
}

export type FileAspect = 'content' | 'type' | 'mode' | 'owner' | 'link' | 'attributes' | 'names';

export interface ListedChange {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed' | 'renamed';
  readonly what: FileAspect[];
  readonly from?: string;
  readonly old?: ListedFile;
  readonly new?: ListedFile;
}

const Line = z.tuple([
  z.string(),
  z.enum(['file', 'dir', 'symlink', 'char', 'block', 'fifo']),
  z.int(),
  z.int(),
  z.int(),
  DigestSchema.nullable(),
  z.string().nullable(),
  z.json(),
  z.string().nullable(),
  z.json(),
]);

interface Listed {
  readonly file: ListedFile;
  /** as it stands, for what is not named in {@link ListedFile} */
  readonly attributes: string;
  readonly names: string;
  /** only on the way to what is selected */
  readonly way: boolean;
}

interface Section {
  readonly directory: boolean;
  readonly files: Map<string, Listed>;
}

/** @throws SyntaxError or ZodError for a text that is no listing */
function parseListing(text: string): readonly Section[] {
  const sections: Section[] = [];
  for (const line of text.split('\n').slice(1, -1)) {
    if (line === 'dir' || line === 'file') {
      sections.push({ directory: line === 'dir', files: new Map() });
      continue;
    }
    const way = line.startsWith('way ');
    const [name, type, mode, uid, gid, digest, link, device, hardlink, xattrs] = Line.parse(
      JSON.parse(way ? line.slice('way '.length) : line),
    );
    sections.at(-1)?.files.set(name, {
      file: { type, mode, uid, gid, digest: digest ?? undefined, link: link ?? undefined },
      attributes: JSON.stringify([device, xattrs]),
      names: hardlink ?? '',
      way,
    });
  }
  return sections;
}

/** All files of a listing by the path that they have in the tree which they were taken from. */
function located(text: string, selections: readonly Selection[]): Map<string, Listed> {
  const directories = selections.filter(({ directory }) => directory);
  const folders = new Map(
    selections.flatMap(({ directory, source, entries }) =>
      directory ? [] : [[entries[0]?.path ?? '', parentOf(source)] as const],
    ),
  );
  const [anyFolder = ''] = folders.values();
  const all = new Map<string, Listed>();
  let at = 0;
  for (const { directory, files } of parseListing(text)) {
    const top = directory ? (directories[at++]?.resolved ?? '') : undefined;
    for (const [name, listed] of files) all.set(joinPath(top ?? folders.get(name) ?? anyFolder, name), listed);
  }
  return all;
}

/**
 * What differs between two listings of `selectionListing`, in order of paths. Paths are those of the tree: `now` tells where
 * what is selected lies.
 * @throws SyntaxError or ZodError for a text that is no listing
 */
export function listingChanges(
  listings: Readonly<Record<'old' | 'new', string>>,
  now: readonly Selection[],
): readonly ListedChange[] {
  const [before, after] = [located(listings.old, now), located(listings.new, now)];
  const changes: ListedChange[] = [];
  for (const [path, { file, ...rest }] of after) {
    const known = before.get(path);
    if (known === undefined) changes.push({ path, change: 'added', what: [], new: file });
    else {
      const what = differences(known, { file, ...rest });
      if (what.length > 0) changes.push({ path, change: 'changed', what, old: known.file, new: file });
    }
  }
  for (const [path, { file }] of before)
    if (!after.has(path)) changes.push({ path, change: 'removed', what: [], old: file });
  return withRenames(changes).toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function differences(old: Listed, now: Listed): FileAspect[] {
  const a = old.file;
  const b = now.file;
  const aspects: readonly (readonly [FileAspect, boolean])[] = [
    ['type', a.type !== b.type],
    ['content', a.digest !== b.digest],
    ['link', a.link !== b.link],
    ['mode', a.mode !== b.mode],
    ['owner', a.uid !== b.uid || a.gid !== b.gid],
    ['attributes', old.attributes !== now.attributes || old.way !== now.way],
    ['names', old.names !== now.names],
  ];
  return aspects.flatMap(([aspect, differs]) => (differs ? [aspect] : []));
}

/** A file that is gone and one alike that has come, if there is but one of each, are one file under another name. */
function withRenames(changes: readonly ListedChange[]): readonly ListedChange[] {
  const by = (change: 'added' | 'removed'): Map<string, ListedChange | null> => {
    const found = new Map<string, ListedChange | null>();
    for (const each of changes) {
      const file = each.new ?? each.old;
      if (each.change !== change || file?.digest === undefined) continue;
      const key = `${file.digest} ${file.mode}`;
      found.set(key, found.has(key) ? null : each);
    }
    return found;
  };
  const [added, removed] = [by('added'), by('removed')];
  const gone = new Set<ListedChange>();
  const renamed = new Map<ListedChange, ListedChange>();
  for (const [key, now] of added) {
    const old = removed.get(key);
    if (now === null || old === null || old?.old === undefined) continue;
    gone.add(old);
    renamed.set(now, { ...now, change: 'renamed', from: old.path, old: old.old });
  }
  return changes.filter((each) => !gone.has(each)).map((each) => renamed.get(each) ?? each);
}

import { baseOf, entryLine, joinPath, type Tree, type TreeEntry } from '#content';
import { type Digest, digestOf } from '#oci';
import { isKilnError, KilnError } from '#std';
import { type IgnoreRules, parsePathPatterns } from './ignore.ts';
import type { ContextManifest } from './manifest.ts';
import { hasWildcard, unescapePattern } from './pattern.ts';
import { type BelowOptions, selectBelow } from './select-below.ts';
import { expand, notFound, type SelectOptions, within } from './source-paths.ts';
import { indexOf, type TreeIndex } from './tree-index.ts';

export type { SelectOptions } from './source-paths.ts';

/** One thing that COPY or ADD takes. */
export interface Selection {
  /** by which path it was selected; `` is the root. A file keeps its base name at the destination, links or not */
  readonly source: string;
  /** a directory gives what is below it, anything else itself */
  readonly directory: boolean;
  /** where it lies in the tree, when `source` leads there through links */
  readonly resolved: string;
  /**
   * In order of paths. Directory: everything below it, with paths (and `hardlink`s) relative to it, not itself. Else one
   * entry, whose path is the base name of `source`.
   */
  readonly entries: readonly TreeEntry[];
  /** paths of directories among them that only stand there for what lies below: one at the destination keeps its owner */
  readonly onTheWay: ReadonlySet<string>;
  /** directory: its own mtime, where the tree says it */
  readonly mtime?: number | undefined;
}

/** Hard links among what is selected: the first name of a file that is selected leads. */
function relative(entries: Iterable<TreeEntry>, directory: string): readonly TreeEntry[] {
  const skip = directory === '' ? 0 : directory.length + 1;
  const leaders = new Map<string, string>();
  const moved: TreeEntry[] = [];
  for (const entry of entries) {
    const path = entry.path.slice(skip);
    if (entry.hardlink === undefined) {
      if (entry.type === 'file') leaders.set(entry.path, path);
      moved.push(skip === 0 ? entry : { ...entry, path });
      continue;
    }
    const hardlink = leaders.get(entry.hardlink);
    if (hardlink === undefined) leaders.set(entry.hardlink, path);
    moved.push({ ...entry, path, hardlink });
  }
  return moved;
}

function directoryAt(index: TreeIndex, source: string, { path, mtime }: TreeEntry, rules: BelowOptions): Selection {
  const { entries, onTheWay } = selectBelow(index, path, rules);
  const skip = path === '' ? 0 : path.length + 1;
  return {
    source,
    directory: true,
    resolved: path,
    entries: relative(entries, path),
    onTheWay: new Set([...onTheWay].map((each) => each.slice(skip))),
    mtime: index.knows(path) ? mtime : undefined,
  };
}

function selectionAt(index: TreeIndex, source: string, rules: BelowOptions): Selection | undefined {
  const entry = index.resolve(source);
  if (entry === undefined) return undefined;
  if (entry.type === 'dir') return directoryAt(index, source, entry, rules);
  // What is taken by its own name is not below anything, and patterns of what is left out do not reach it.
  const entries = [{ ...entry, path: baseOf(source), hardlink: undefined }];
  return { source, directory: false, resolved: entry.path, entries, onTheWay: new Set() };
}

const PIVOT = '/./';

/** What a pattern of --parents takes, with the directories that lead there from its pivot. */
function selectWithParents(
  index: TreeIndex,
  text: string,
  exclude: IgnoreRules | undefined,
  options: SelectOptions,
): readonly Selection[] {
  const at = text.indexOf(PIVOT);
  const before = at === -1 ? '' : within(text.slice(0, at));
  const pattern = within(at === -1 ? text : text.slice(at + PIVOT.length));
  const include = pattern === '' ? undefined : parsePathPatterns([pattern]);
  const pivots = expand(index, before, options);
  if (!hasWildcard(before)) {
    const pivot = index.resolve(pivots[0] ?? '');
    const named = [before, pattern]
      .filter((part) => part !== '')
      .map(unescapePattern)
      .join('/');
    const there =
      hasWildcard(pattern) || index.get(joinPath(pivot?.path ?? '', unescapePattern(pattern))) !== undefined;
    if (pivot?.type !== 'dir' || !there) throw notFound(index, named, options);
  }
  return pivots.flatMap((source) => {
    const entry = index.resolve(source);
    return entry?.type === 'dir' ? [directoryAt(index, source, entry, { include, exclude })] : [];
  });
}

/**
 * What COPY and ADD take: each pattern's matches, sorted, in the order of the patterns. A pattern without wildcards names
 * one path. A source that is a link (or lies behind one) is what the link leads to; links within a copied directory are
 * copied as links. A wildcard that matches nothing selects nothing, as in BuildKit; the directory before it has to exist.
 * @throws KilnError SOURCE_NOT_FOUND; DOCKERFILE_INVALID for a malformed pattern
 */
export function selectSources(
  tree: Tree | ContextManifest,
  patterns: readonly string[],
  options: SelectOptions = {},
): readonly Selection[] {
  const index = indexOf(tree);
  try {
    const exclude = options.excludes === undefined ? undefined : parsePathPatterns(options.excludes);
    return patterns.flatMap((pattern) => {
      if (options.parents === true) return selectWithParents(index, pattern, exclude, options);
      return expand(index, pattern, options).map((source) => {
        const selection = selectionAt(index, source, { exclude });
        if (selection === undefined) throw notFound(index, source, options);
        return selection;
      });
    });
  } catch (thrown) {
    if (!isKilnError(thrown, 'INVALID_ARGUMENT')) throw thrown;
    throw new KilnError('DOCKERFILE_INVALID', thrown.message, { hint: thrown.hint, cause: thrown });
  }
}

/** Bump when the hashed bytes change meaning. */
const SELECTION_VERSION = 1;

/**
 * What is selected, as it lands, and nothing else: `kiln.selection 1\n`, then for each selection `dir\n` or `file\n` and for
 * each of its entries the line of {@link entryLine} and `\n`, whose name is the entry's relative path and whose content is a
 * file's digest (null for a directory: its files have lines of their own). `way ` stands before a directory that is only on
 * the way. A source directory's own name, mode and owner do not land, and do not count; nor do mtimes.
 * @param own the directory itself where it counts too, as what a RUN mounts: a first line, with an empty name
 */
export function selectionListing(selections: readonly Selection[], own?: TreeEntry): string {
  const lines = selections.flatMap(({ directory, entries, onTheWay }) => [
    directory ? 'dir' : 'file',
    ...(own === undefined ? [] : [entryLine('', own, undefined)]),
    ...entries.map((entry) => `${onTheWay.has(entry.path) ? 'way ' : ''}${entryLine(entry.path, entry, entry.digest)}`),
  ]);
  return `${[`kiln.selection ${SELECTION_VERSION}`, ...lines].join('\n')}\n`;
}

/** The digest of the bytes of {@link selectionListing}. */
export function selectionDigest(selections: readonly Selection[]): Digest {
  return digestOf(selectionListing(selections));
}

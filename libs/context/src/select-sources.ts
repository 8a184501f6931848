import { posix } from 'node:path';
import { baseOf, comparePaths, entryLine, type Tree, type TreeEntry } from '#content';
import { type Digest, digestOf } from '#oci';
import { isKilnError, KilnError } from '#std';
import type { ContextManifest } from './manifest.ts';
import { nearMisses } from './near-misses.ts';
import { hasWildcard, matchSteps, parsePattern, unescapePattern } from './pattern.ts';
import { indexOf, type TreeIndex } from './tree-index.ts';

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
}

export interface SelectOptions {
  /** the tree before .dockerignore, to tell what was excluded from what never was there */
  readonly unfiltered?: Tree | ContextManifest | undefined;
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

function selectionAt(index: TreeIndex, source: string): Selection | undefined {
  const entry = index.resolve(source);
  if (entry === undefined) return undefined;
  const { path: resolved } = entry;
  if (entry.type === 'dir') {
    return { source, directory: true, resolved, entries: relative(index.below(resolved), resolved) };
  }
  const entries = [{ ...entry, path: baseOf(source), hardlink: undefined }];
  return { source, directory: false, resolved, entries };
}

function notFound(index: TreeIndex, path: string, options: SelectOptions): KilnError {
  const hidden = options.unfiltered !== undefined && indexOf(options.unfiltered).resolve(path) !== undefined;
  const link = index.get(path);
  const near = nearMisses(index, path);
  let hint = 'paths are relative to the root of the context (or of the stage in --from)';
  if (hidden) hint = 'it is in the context, but excluded by .dockerignore';
  else if (link?.type === 'symlink') hint = `it is a link to ${JSON.stringify(link.link)}, which is not there`;
  else if (near.length > 0) hint = `did you mean ${near.map((other) => `/${other}`).join(', ')}?`;
  return new KilnError('SOURCE_NOT_FOUND', `${JSON.stringify(`/${path}`)}: not found`, { hint });
}

/** `..` ends at the root, as in a chroot. */
const within = (pattern: string): string => posix.join('/', pattern).replace(/^\/+|\/+$/g, '');

function expand(index: TreeIndex, pattern: string, options: SelectOptions): readonly string[] {
  const components = within(pattern).split('/');
  const first = components.findIndex(hasWildcard);
  if (first === -1) {
    const path = components.join('/');
    return [index.get(path) === undefined ? unescapePattern(path) : path];
  }
  const prefix = components.slice(0, first).map(unescapePattern).join('/');
  const start = index.resolve(prefix);
  if (start === undefined) throw notFound(index, prefix, options);
  // Links are followed before the first wildcard, and at the end; in between a link is a name.
  let found: readonly string[] = [start.path];
  for (const component of components.slice(first)) {
    const steps = parsePattern(component);
    found = found.flatMap((path) => index.children(path)).filter((path) => matchSteps(steps, baseOf(path)));
  }
  return [...found].sort(comparePaths);
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
  return patterns.flatMap((pattern) => {
    let sources: readonly string[];
    try {
      sources = expand(index, pattern, options);
    } catch (thrown) {
      if (!isKilnError(thrown, 'INVALID_ARGUMENT')) throw thrown;
      throw new KilnError('DOCKERFILE_INVALID', thrown.message, { hint: thrown.hint, cause: thrown });
    }
    return sources.map((source) => {
      const selection = selectionAt(index, source);
      if (selection === undefined) throw notFound(index, source, options);
      return selection;
    });
  });
}

/** Bump when the hashed bytes change meaning. */
const SELECTION_VERSION = 1;

/**
 * The digest of what is selected, as it lands, and of nothing else: SHA-256 over `kiln.selection 1\n`, then for each
 * selection `dir\n` or `file\n` and for each of its entries the line of {@link entryLine} and `\n`, whose name is the
 * entry's relative path and whose content is a file's digest (null for a directory: its files have lines of their own).
 * A source directory's own name, mode and owner do not land, and do not count; nor do mtimes.
 */
export function selectionDigest(selections: readonly Selection[]): Digest {
  const lines = selections.flatMap(({ directory, entries }) => [
    directory ? 'dir' : 'file',
    ...entries.map((entry) => entryLine(entry.path, entry, entry.digest)),
  ]);
  return digestOf(`${[`kiln.selection ${SELECTION_VERSION}`, ...lines].join('\n')}\n`);
}

import { posix } from 'node:path';
import { baseOf, comparePaths, type Tree, type TreeEntry } from '#content';
import { KilnError } from '#std';
import type { IgnoreRules } from './ignore.ts';
import type { ContextManifest } from './manifest.ts';
import { nearMisses } from './near-misses.ts';
import { hasWildcard, matchSteps, parsePattern, unescapePattern } from './pattern.ts';
import { indexOf, type TreeIndex } from './tree-index.ts';

export interface SelectOptions {
  /** the tree before .dockerignore, to tell what was excluded from what never was there */
  readonly unfiltered?: Tree | ContextManifest | undefined;
  /** what .dockerignore says, for clients that send nothing of what it leaves out */
  readonly ignore?: IgnoreRules | undefined;
  /** as `--parents`: patterns (`**` too) select from the directory before their `/./`, the root where there is none */
  readonly parents?: boolean | undefined;
  /** as `--exclude`: patterns, relative to each directory that is taken, of what is left out of it */
  readonly excludes?: readonly string[] | undefined;
}

/** That nothing is at `path`, with what may have been meant. */
export function notFound(index: TreeIndex, path: string, options: SelectOptions): KilnError {
  const hidden = options.unfiltered !== undefined && indexOf(options.unfiltered).resolve(path) !== undefined;
  const link = index.get(path);
  const behind = options.parents === true ? linkOnTheWay(index, path) : undefined;
  const near = nearMisses(index, path);
  let hint = 'paths are relative to the root of the context (or of the stage in --from)';
  if (hidden) hint = 'it is in the context, but excluded by .dockerignore';
  else if (options.ignore?.ignores(path) === true) hint = 'if it is in the context, .dockerignore leaves it out';
  else if (link?.type === 'symlink') hint = `it is a link to ${JSON.stringify(link.link)}, which is not there`;
  else if (behind !== undefined) {
    hint = `"/${behind.path}" is a link to ${JSON.stringify(behind.link)}, and --parents takes links as they are: name what it leads to`;
  } else if (near.length > 0) hint = `did you mean ${near.map((other) => `/${other}`).join(', ')}?`;
  return new KilnError('SOURCE_NOT_FOUND', `${JSON.stringify(`/${path}`)}: not found`, { hint });
}

/** The first link among the parents of a path. */
function linkOnTheWay(index: TreeIndex, path: string): TreeEntry | undefined {
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
    const entry = index.get(path.slice(0, at));
    if (entry?.type === 'symlink') return entry;
  }
  return undefined;
}

/** `..` ends at the root, as in a chroot. */
export const within = (pattern: string): string => posix.join('/', pattern).replace(/^\/+|\/+$/g, '');

/**
 * The paths that a pattern without `**` stands for: its matches in order, or the path itself where it has no wildcard.
 * @throws KilnError SOURCE_NOT_FOUND for what has to be there before a wildcard; INVALID_ARGUMENT for a malformed pattern
 */
export function expand(index: TreeIndex, pattern: string, options: SelectOptions): readonly string[] {
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

import type { Tree } from '#content';
import { type Selection, type SelectOptions, selectSources } from '#context';
import type { CopyOp } from '#graph';

/**
 * What an operation takes from one of its inputs.
 * @param hidden of a tree that the client sent: what .dockerignore took from it
 */
export function selectCopied(
  tree: Tree,
  { parents, excludes }: Pick<CopyOp, 'parents' | 'excludes'>,
  patterns: readonly string[],
  hidden: Pick<SelectOptions, 'unfiltered' | 'ignore'> = {},
): readonly Selection[] {
  return selectSources(tree, patterns, { ...hidden, parents, excludes });
}

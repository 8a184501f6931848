import type { Tree } from '#content';
import { type Selection, selectionListing } from '#context';
import type { Vertex } from '#graph';
import { KilnError } from '#std';
import type { LocalRef } from './ref.ts';
import { selectCopied } from './select-copied.ts';
import { mountedSource, shown, shownListing } from './shown.ts';

/** What a step takes from one of its further inputs. */
export interface Taken {
  readonly selections: readonly Selection[];
  /** its digest is what keys hold */
  readonly listing: string;
}

/** @throws KilnError SOURCE_NOT_FOUND */
export function takenFrom({ op }: Vertex, input: number, tree: Tree, local?: LocalRef): Taken {
  if (op.kind === 'exec') {
    const found = shown(tree, mountedSource(op, input), { unfiltered: local?.unfiltered });
    return { selections: [found.selection], listing: shownListing(found) };
  }
  if (op.kind !== 'copy') throw new KilnError('INTERNAL', `a ${op.kind} selects nothing`);
  const patterns = op.from.flatMap((each) => (each.input === input ? each.patterns : []));
  const selections = selectCopied(tree, op, patterns, local);
  return { selections, listing: selectionListing(selections) };
}

import type { Lowered } from '#graph';
import { KilnError } from '#std';
import type { Ref, TreeRef } from './ref.ts';

/** What a build gave for one platform. */
export interface PlatformResult {
  readonly lowered: Lowered;
  readonly root: Ref;
}

export function treeOf(root: Ref): TreeRef {
  if (root.kind !== 'tree') throw new KilnError('INTERNAL', 'a context is no result');
  return root;
}

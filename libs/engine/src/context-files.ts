import { type IgnoreRules, indexOf } from '#context';
import type { ContextFiles } from '#dockerfile';
import type { LocalRef } from './ref.ts';

/** The context as the checks of a Dockerfile ask for it. */
export function contextFiles({ tree }: LocalRef, rules: IgnoreRules): ContextFiles {
  return {
    has: (path) => tree.has(path),
    *below(directory) {
      for (const { path, type } of indexOf(tree).below(directory)) if (type !== 'dir') yield path;
    },
    excludes: rules.hasExceptions ? undefined : (path) => (path === '' ? rules.coversRoot : rules.ignores(path)),
  };
}

import type { TreeEntry } from '#content';
import { type IgnoreRules, type IgnoreState, noRules } from './ignore.ts';
import type { TreeIndex } from './tree-index.ts';

export interface BelowOptions {
  /** what is taken; undefined for everything. Matched like what an ignore file ignores */
  readonly include?: IgnoreRules | undefined;
  /** what is left out of it */
  readonly exclude?: IgnoreRules | undefined;
}

/** What is taken from below a directory. */
export interface Below {
  /** in order of paths, which are those of the tree */
  readonly entries: readonly TreeEntry[];
  /** paths of directories that no pattern takes, and that stand there for what lies below them */
  readonly onTheWay: ReadonlySet<string>;
}

interface Place {
  readonly directory: string;
  readonly included: IgnoreState;
  readonly excluded: IgnoreState;
  /** directories from the top to this one that are taken only when something below them is */
  readonly pending: readonly TreeEntry[];
}

/** Everything below a directory that the patterns, relative to it, take. Links are names here: none is followed. */
export function selectBelow(index: TreeIndex, top: string, { include, exclude = noRules }: BelowOptions): Below {
  const entries: TreeEntry[] = [];
  const onTheWay = new Set<string>();
  const skip = top === '' ? 0 : top.length + 1;
  const walk = ({ directory, included, excluded, pending }: Place): void => {
    let waiting = pending;
    for (const path of index.children(directory)) {
      const entry = index.get(path);
      if (entry === undefined) continue;
      const name = path.slice(skip);
      const wanted = include?.enter(included, name);
      const refused = exclude.enter(excluded, name);
      const taken = wanted?.ignored !== false && !refused.ignored;
      if (taken) {
        for (const parent of waiting) {
          entries.push(parent);
          onTheWay.add(parent.path);
        }
        waiting = [];
        entries.push(entry);
      }
      if (entry.type !== 'dir') continue;
      if (refused.ignored && !exclude.mayReinclude(name)) continue;
      if (wanted?.ignored === false && include?.mayMatchBelow(name) === false) continue;
      const before = entries.length;
      const below = { directory: path, included: wanted ?? included, excluded: refused };
      walk({ ...below, pending: taken ? [] : [...waiting, entry] });
      // The first thing taken below took what waited with it.
      if (entries.length > before) waiting = [];
    }
  };
  walk({
    directory: top,
    included: (include ?? noRules).root,
    excluded: exclude.root,
    pending: [],
  });
  return { entries, onTheWay };
}

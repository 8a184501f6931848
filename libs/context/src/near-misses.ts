import { baseOf, parentOf } from '#content';
import type { TreeIndex } from './tree-index.ts';

const MAX_NAMES = 3;
const MAX_LOOKED_AT = 20_000;

/** Edits (insert, remove, replace) from one name to the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function similar(wanted: string, name: string): boolean {
  const [a, b] = [wanted.toLowerCase(), name.toLowerCase()];
  if (a === b) return true;
  const allowed = Math.max(1, Math.floor(a.length / 4));
  return Math.abs(a.length - b.length) <= allowed && distance(a, b) <= allowed;
}

/** Paths that somebody who wrote `path` may have meant: alike in the same directory, or of the same name elsewhere. */
export function nearMisses(index: TreeIndex, path: string): readonly string[] {
  const beside = index.children(parentOf(path)).filter((other) => similar(baseOf(path), baseOf(other)));
  if (beside.length > 0) return beside.slice(0, MAX_NAMES);
  const found: string[] = [];
  let looked = 0;
  for (const other of index.paths()) {
    if (++looked > MAX_LOOKED_AT || found.length === MAX_NAMES) break;
    if (baseOf(other).toLowerCase() === baseOf(path).toLowerCase()) found.push(other);
  }
  return found;
}

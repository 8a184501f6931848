import { digestOf } from '#oci';
import { deltaEntries, treeEntries } from '#testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyDelta } from './apply-delta.ts';
import { comparePaths, parentOf } from './path.ts';
import type { DeltaEntry, Tree, TreeEntry } from './tree.ts';

const dir = (path: string, mode = 0o755): TreeEntry => ({ path, type: 'dir', mode, uid: 0, gid: 0, mtime: 0 });
const file = (path: string, text = 'x', hardlink?: string): TreeEntry => ({
  path,
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 0,
  digest: digestOf(text),
  size: text.length,
  hardlink,
});
const whiteout = (path: string): DeltaEntry => ({ path, type: 'whiteout' });
const treeFrom = (...entries: readonly TreeEntry[]): Tree => new Map(entries.map((entry) => [entry.path, entry]));
const pathsOf = (tree: Tree): readonly string[] => [...tree.keys()];

/** The specification, entry by entry, each at the cost of the whole tree. */
function naive(tree: Tree, delta: readonly DeltaEntry[]): Map<string, TreeEntry> {
  const after = new Map(tree);
  const clear = (path: string): void => {
    for (const other of [...after.keys()]) if (other.startsWith(`${path}/`)) after.delete(other);
  };
  for (const entry of delta) {
    if (entry.type === 'whiteout') {
      clear(entry.path);
      after.delete(entry.path);
    } else if (entry.type !== 'dir' || entry.opaque === true) clear(entry.path);
  }
  for (const entry of delta) {
    if (entry.type === 'whiteout') continue;
    for (let above = parentOf(entry.path); above !== ''; above = parentOf(above)) {
      if (after.get(above)?.type !== 'dir') after.set(above, dir(above));
    }
    const { opaque: _, ...rest } = { opaque: undefined, ...entry };
    after.set(entry.path, rest);
  }
  return after;
}

describe('applyDelta', () => {
  const lower = treeFrom(dir('a'), file('a/1'), dir('a/sub'), file('a/sub/2'), file('a-b'), file('z'));

  it('removes what a whiteout names, with all below it and nothing beside it', () => {
    expect(pathsOf(applyDelta(lower, [whiteout('a')]))).toEqual(['a-b', 'z']);
    expect(pathsOf(applyDelta(lower, [whiteout('a/sub'), whiteout('gone')]))).toEqual(['a', 'a/1', 'a-b', 'z']);
  });

  it('empties an opaque directory, but for what the layer puts there', () => {
    const after = applyDelta(lower, [{ ...dir('a', 0o700), opaque: true }, file('a/new')]);
    expect(pathsOf(after)).toEqual(['a', 'a/new', 'a-b', 'z']);
    expect(after.get('a')).toEqual(dir('a', 0o700));
  });

  it('keeps what is in a directory when the layer only describes it anew', () => {
    expect(pathsOf(applyDelta(lower, [dir('a', 0o700)]))).toEqual(pathsOf(lower));
  });

  it('drops what lay in a directory that becomes a file', () => {
    expect(pathsOf(applyDelta(lower, [file('a')]))).toEqual(['a', 'a-b', 'z']);
  });

  it('makes directories that nobody described', () => {
    const after = applyDelta(lower, [file('new/deep/er'), file('z/below')]);
    expect(after.get('new/deep')).toEqual(dir('new/deep'));
    expect(after.get('z')).toEqual(dir('z'));
  });

  it('leaves the tree below as it is', () => {
    const before = [...lower];
    applyDelta(lower, [whiteout('a'), file('z', 'other')]);
    expect([...lower]).toEqual(before);
  });

  it('lets the next name lead when the first name of a file is replaced or removed', () => {
    const linked = treeFrom(file('a'), file('b', 'x', 'a'), file('c', 'x', 'a'), file('d', 'other'));
    for (const change of [file('a', 'new'), whiteout('a')]) {
      const after = applyDelta(linked, [change]);
      expect([after.get('b')?.hardlink, after.get('c')?.hardlink]).toEqual([undefined, 'b']);
    }
    expect(applyDelta(linked, [whiteout('b')]).get('c')?.hardlink).toBe('a');
  });

  it('does as the specification says', () => {
    fc.assert(
      fc.property(treeEntries, deltaEntries, (entries, delta) => {
        const tree = treeFrom(...entries);
        const ordered = [...delta].sort((a, b) => comparePaths(a.path, b.path));
        const expected = [...naive(tree, ordered)].sort(([a], [b]) => comparePaths(a, b));
        expect([...applyDelta(tree, ordered)]).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it('costs the size of the tree once, not once a whiteout', () => {
    const entries = Array.from({ length: 50_000 }, (_, index) => file(`d${index % 500}/f${index}`));
    const tree = applyDelta(new Map(), entries);
    const startedAtMs = performance.now();
    const after = applyDelta(
      tree,
      entries.slice(0, 25_000).map(({ path }) => whiteout(path)),
    );
    expect(after.size).toBe(tree.size - 25_000);
    expect(performance.now() - startedAtMs).toBeLessThan(5000);
  });
});

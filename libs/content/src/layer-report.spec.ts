import { digestOf } from '#oci';
import { describe, expect, it } from 'vitest';
import { applyDelta } from './apply-delta.ts';
import { layerReports, treeChanges } from './layer-report.ts';
import type { DeltaEntry, Tree } from './tree.ts';

const common = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
const file = (path: string, size: number, more: Partial<DeltaEntry> = {}): DeltaEntry => ({
  ...{ path, type: 'file', size, digest: digestOf(`${path} ${size}`), ...common },
  ...(more as object),
});
const dir = (path: string, opaque?: true): DeltaEntry => ({
  ...{ path, type: 'dir', ...common },
  ...(opaque === undefined ? {} : { opaque }),
});
const gone = (path: string): DeltaEntry => ({ path, type: 'whiteout' });

describe('what layers bring', () => {
  it('counts as wasted what later layers remove or replace', () => {
    const layers = [
      [dir('a'), file('a/big', 1000), file('a/small', 10), dir('cache'), file('cache/x', 500), file('cache/y', 1)],
      [file('a/small', 20), dir('cache', true)],
      [gone('a')],
      [file('a', 7)],
    ];
    expect(layerReports(layers).map(({ files, sizeBytes, wastedBytes }) => [files, sizeBytes, wastedBytes])).toEqual([
      [4, 1511, 1511],
      [1, 20, 20],
      [0, 0, 0],
      [1, 7, 0],
    ]);
  });

  it('names the largest files, and counts a file with several names once', () => {
    const many = Array.from({ length: 30 }, (_, n) => file(`f${String(n).padStart(2, '0')}`, n));
    const [report] = layerReports([[...many, file('link', 29, { hardlink: 'f29' })]]);
    expect(report?.largest.map(({ sizeBytes }) => sizeBytes)).toEqual([29, 28, 27, 26, 25, 24, 23, 22, 21, 20]);
    expect(report?.sizeBytes).toBe((29 * 30) / 2);
    expect(layerReports([[file('empty', 0)]])).toEqual([{ files: 1, sizeBytes: 0, wastedBytes: 0, largest: [] }]);
    expect(layerReports([])).toEqual([]);
  });
});

describe('what two trees differ in', () => {
  it('is told by paths, without times', () => {
    const empty: Tree = new Map();
    const before = applyDelta(empty, [file('same', 1), file('gone', 2), file('other', 3), dir('d')]);
    const after = applyDelta(empty, [file('same', 1, { mtime: 9 }), file('other', 4), file('new', 5), file('d', 6)]);
    expect(treeChanges(before, after)).toEqual([
      { path: 'd', change: 'changed', before: null, after: 6 },
      { path: 'gone', change: 'removed', before: 2, after: null },
      { path: 'new', change: 'added', before: null, after: 5 },
      { path: 'other', change: 'changed', before: 3, after: 4 },
    ]);
    expect(treeChanges(before, before)).toEqual([]);
  });
});

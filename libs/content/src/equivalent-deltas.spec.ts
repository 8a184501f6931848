import { digestOf } from '#oci';
import { deltaEntries } from '#testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { equivalentDeltas } from './equivalent-deltas.ts';
import type { DeltaEntry, TreeEntry } from './tree.ts';

const first = { startedAtMs: 10_400, finishedAtMs: 12_600 };
const second = { startedAtMs: 100_900, finishedAtMs: 101_100 };
const file = (mtime: number, change: Partial<TreeEntry> = {}): DeltaEntry => ({
  path: 'f',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime,
  size: 1,
  digest: digestOf('x'),
  ...change,
});
const same = (a: readonly DeltaEntry[], b: readonly DeltaEntry[]): boolean => equivalentDeltas(a, first, b, second);

describe('equivalentDeltas', () => {
  it.each([
    [10, 100],
    [13, 102],
    [11, 101],
    [50, 50],
  ])('takes mtimes %i and %i for the same', (a, b) => {
    expect(same([file(a)], [file(b)])).toBe(true);
  });

  it.each([
    ['before the first run', 9, 100],
    ['after the first run', 14, 100],
    ['before the second run', 11, 99],
    ['after the second run', 11, 103],
    ['outside of both', 1, 2],
    ['in the other run’s window', 101, 11],
  ])('tells an mtime %s from the other', (_, a, b) => {
    expect(same([file(a)], [file(b)])).toBe(false);
  });

  it('wants everything else to be the same', () => {
    const changes: readonly Partial<TreeEntry>[] = [
      { mode: 0o600 },
      { uid: 1 },
      { gid: 1 },
      { digest: digestOf('y') },
      { size: 2 },
      { path: 'g' },
      { xattrs: { a: 'YQ==' } },
      { hardlink: 'e' },
    ];
    for (const change of changes) expect(same([file(11)], [file(101, change)]), JSON.stringify(change)).toBe(false);
  });

  it('counts whiteouts, opaque marks and entries that only one has', () => {
    const whiteout: DeltaEntry = { path: 'f', type: 'whiteout' };
    const dir: DeltaEntry = { path: 'f', type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 11 };
    expect(same([whiteout], [whiteout])).toBe(true);
    expect(same([whiteout], [file(101)])).toBe(false);
    expect(same([dir], [{ ...dir, mtime: 101 }])).toBe(true);
    expect(same([dir], [{ ...dir, mtime: 101, opaque: true }])).toBe(false);
    expect(same([file(11)], [])).toBe(false);
    expect(same([], [whiteout])).toBe(false);
  });

  it('finds every delta equivalent to itself, and says the same both ways', () => {
    fc.assert(
      fc.property(deltaEntries, deltaEntries, (a, b) => {
        expect(same(a, a)).toBe(true);
        expect(equivalentDeltas(a, first, b, second)).toBe(equivalentDeltas(b, second, a, first));
      }),
    );
  });
});

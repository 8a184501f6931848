import { createHash } from 'node:crypto';
import { digestOf } from '#oci';
import { treeEntries } from '#testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Tree, TreeEntry } from './tree.ts';
import { subtreeDigest, treeDigest } from './tree-digest.ts';

const treeFrom = (entries: readonly TreeEntry[]): Tree => new Map(entries.map((entry) => [entry.path, entry]));
const base = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
const sample: readonly TreeEntry[] = [
  { ...base, path: 'd', type: 'dir', mode: 0o755 },
  { ...base, path: 'd/f', type: 'file', digest: digestOf('x'), size: 1, xattrs: { 'user.a': 'YQ==' } },
  { ...base, path: 'd/g', type: 'file', digest: digestOf('x'), size: 1, hardlink: 'd/f' },
  { ...base, path: 'l', type: 'symlink', mode: 0o777, link: 'd/f' },
  { ...base, path: 'n', type: 'char', device: { major: 1, minor: 3 } },
];
const whole = treeDigest(treeFrom(sample));

/** The sample with one entry changed. */
function flipped(path: string, change: Partial<TreeEntry>): Tree {
  return treeFrom(sample.map((entry) => (entry.path === path ? { ...entry, ...change } : entry)));
}

describe('treeDigest', () => {
  it('hashes the bytes that its comment promises', () => {
    const sha = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
    const inner = sha(`kiln.tree 1\n["f","file",420,0,0,"${digestOf('x')}",null,null,null,null]\n`);
    const outer = sha(
      `kiln.tree 1\n["d","dir",493,0,0,"${inner}",null,null,null,null]\n["l","symlink",511,0,0,null,"d",null,null,null]\n`,
    );
    const tree = treeFrom([
      { ...base, path: 'l', type: 'symlink', mode: 0o755, link: 'd' },
      { ...base, path: 'd/f', type: 'file', digest: digestOf('x'), size: 1 },
    ]);
    expect(treeDigest(tree)).toBe(sha(`["","dir",493,0,0,"${outer}",null,null,null,null]`));
  });

  const changes: readonly (readonly [string, string, Partial<TreeEntry>])[] = [
    ['a type', 'n', { type: 'block' }],
    ['a mode', 'd/f', { mode: 0o600 }],
    ['a mode of a directory', 'd', { mode: 0o700 }],
    ['a setuid bit', 'd/f', { mode: 0o4644 }],
    ['an owner', 'd/f', { uid: 1 }],
    ['a group', 'd', { gid: 1 }],
    ['a content', 'd/f', { digest: digestOf('y') }],
    ['a link target', 'l', { link: 'd/g' }],
    ['a major number', 'n', { device: { major: 2, minor: 3 } }],
    ['a minor number', 'n', { device: { major: 1, minor: 4 } }],
    ['an attribute', 'd/f', { xattrs: { 'user.a': 'Yg==' } }],
    ['an attribute name', 'd/f', { xattrs: { 'user.b': 'YQ==' } }],
    ['no attributes', 'd/f', { xattrs: {} }],
    ['a hard link', 'd/g', { hardlink: undefined }],
  ];
  it.each(changes)('changes with %s', (_, path, change) => {
    expect(treeDigest(flipped(path, change))).not.toBe(whole);
  });

  it('changes when anything is added, removed or renamed', () => {
    for (const { path } of sample) {
      if (path === 'd') continue;
      expect(treeDigest(treeFrom(sample.filter((entry) => entry.path !== path)))).not.toBe(whole);
      const renamed = sample.map((entry) => (entry.path === path ? { ...entry, path: `${path}2` } : entry));
      expect(treeDigest(treeFrom(renamed))).not.toBe(whole);
    }
    expect(treeDigest(treeFrom([...sample, { ...base, path: 'd/e', type: 'dir' }]))).not.toBe(whole);
  });

  it('does not change with mtimes, a link’s mode, or the order of attributes', () => {
    for (const { path } of sample) expect(treeDigest(flipped(path, { mtime: 99 }))).toBe(whole);
    expect(treeDigest(flipped('l', { mode: 0o755 }))).toBe(whole);
    const two = { 'user.a': 'YQ==', 'user.b': 'Yg==' };
    const reversed = { 'user.b': 'Yg==', 'user.a': 'YQ==' };
    expect(treeDigest(flipped('d/f', { xattrs: two }))).toBe(treeDigest(flipped('d/f', { xattrs: reversed })));
  });

  it('tells names apart that are not UTF-8', () => {
    const named = (path: string): Tree => treeFrom([{ ...base, path, type: 'dir' }]);
    expect(treeDigest(named('\udce9'))).not.toBe(treeDigest(named('\udcea')));
    expect(treeDigest(named('\udce9'))).not.toBe(treeDigest(named('\\udce9')));
    expect(treeDigest(named('\ufffd'))).not.toBe(treeDigest(named('\udce9')));
  });

  it('is one digest for one tree, and another for another', () => {
    const content = (entries: readonly TreeEntry[]): string =>
      JSON.stringify(
        [...entries]
          .sort((a, b) => (a.path < b.path ? -1 : 1))
          .map((entry) => ({ ...entry, mtime: 0, mode: entry.type === 'symlink' ? 0 : entry.mode }))
          .map((entry) => Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1))),
      );
    fc.assert(
      fc.property(treeEntries, treeEntries, fc.integer(), (a, b, mtime) => {
        expect(treeDigest(treeFrom(a)) === treeDigest(treeFrom(b))).toBe(content(a) === content(b));
        const stirred = [...a].reverse().map((entry) => ({ ...entry, mtime }));
        expect(treeDigest(treeFrom(stirred))).toBe(treeDigest(treeFrom(a)));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('subtreeDigest', () => {
  it('is that of the tree at the root, and undefined where nothing is', () => {
    expect(subtreeDigest(treeFrom(sample), '')).toBe(whole);
    expect(subtreeDigest(treeFrom(sample), 'x')).toBeUndefined();
    expect(subtreeDigest(treeFrom(sample), 'd/f/x')).toBeUndefined();
  });

  it('knows nothing of the name, nor of what lies beside', () => {
    const moved = [
      { ...base, path: 'e', type: 'dir' as const, mode: 0o755 },
      { ...base, path: 'e/f', type: 'file' as const, digest: digestOf('x'), size: 1 },
      { ...base, path: 'd', type: 'dir' as const, mode: 0o755 },
      { ...base, path: 'd/f', type: 'file' as const, digest: digestOf('x'), size: 1 },
      { ...base, path: 'd-', type: 'dir' as const },
    ];
    expect(subtreeDigest(treeFrom(moved), 'e')).toBe(subtreeDigest(treeFrom(moved), 'd'));
    expect(subtreeDigest(treeFrom(moved), 'd')).toBe(subtreeDigest(treeFrom(moved.slice(2, 4)), 'd'));
    expect(subtreeDigest(treeFrom(moved), 'e/f')).not.toBe(subtreeDigest(treeFrom(moved), 'e'));
  });
});

import { describe, expect, it } from 'vitest';
import { digestOf } from '#oci';
import { mergeTrees } from './merge-trees.ts';
import type { PackedEntry, PackedTree } from './packed-tree.ts';

const pack = { digest: digestOf('pack'), sizeBytes: 1, rawBytes: 1 };

/** Files by path with their bytes; directories come with them. `=other` is a further name, `>target` a link. */
function tree(files: Readonly<Record<string, string>>): PackedTree {
  const entries = new Map<string, PackedEntry>();
  const common = { mode: 0o755, uid: 0, gid: 0, mtime: '0' };
  const put = (entry: PackedEntry): void => void entries.set(entry.path, entry);
  put({ ...common, path: '', type: 'dir' });
  for (const [path, text] of Object.entries(files)) {
    const names = path.split('/');
    for (let depth = 1; depth < names.length; depth++)
      put({ ...common, path: names.slice(0, depth).join('/'), type: 'dir' });
    if (text.startsWith('>')) put({ ...common, path, type: 'symlink', link: text.slice(1) });
    else {
      const hardlink = text.startsWith('=') ? text.slice(1) : undefined;
      const digest = digestOf(hardlink === undefined ? text : (files[hardlink] ?? ''));
      put({ ...common, path, type: 'file', size: 1, digest, pack: pack.digest, at: 0, hardlink });
    }
  }
  return { packs: new Map([[pack.digest, pack]]), entries };
}

type Files = Readonly<Record<string, string>>;
const merged = (base: Files, theirs: Files, ours: Files): PackedTree =>
  mergeTrees({ base: tree(base), theirs: tree(theirs), ours: tree(ours) });
const of = (result: PackedTree): Files =>
  Object.fromEntries(
    [...result.entries.values()]
      .filter(({ type }) => type !== 'dir')
      .map(({ path, digest, link, hardlink }) => [
        path,
        hardlink === undefined ? (digest === undefined ? `>${link}` : digest) : `=${hardlink}`,
      ]),
  );
const files = (given: Files): Files => of(tree(given));

describe('what two made of one directory', () => {
  it.each<[string, Files, Files, Files, Files]>([
    ['what both added is there', { a: '1' }, { a: '1', b: '2' }, { a: '1', c: '3' }, { a: '1', b: '2', c: '3' }],
    ['without a beginning it is the union', {}, { 'x/a': '1' }, { 'x/b': '2' }, { 'x/a': '1', 'x/b': '2' }],
    ['where both wrote, ours is the last', { a: '1' }, { a: '2' }, { a: '3' }, { a: '3' }],
    ['where only they wrote, theirs stays', { a: '1' }, { a: '2' }, { a: '1' }, { a: '2' }],
    ['what one removed is gone', { a: '1', b: '1' }, { b: '1' }, { a: '1' }, {}],
    ['what one removed and the other wrote is there', { a: '1' }, {}, { a: '2' }, { a: '2' }],
    [
      'a directory that we removed is there for what they added',
      { 'd/a': '1' },
      { 'd/a': '1', 'd/b': '2' },
      {},
      { 'd/b': '2' },
    ],
    [
      'a file in place of a directory hides what they added',
      { 'd/a': '1' },
      { 'd/a': '1', 'd/b': '2' },
      { d: '3' },
      { d: '3' },
    ],
    ['a link in place of a directory too', {}, { 'd/a': '1' }, { d: '>/etc' }, { d: '>/etc' }],
    [
      'names of a file that came apart are files',
      { a: '1', b: '=a' },
      { a: '1', b: '=a' },
      { a: '2', b: '1' },
      { a: '2', b: '1' },
    ],
    [
      'names of a file whose first is another now',
      { a: '1', b: '=a' },
      { a: '1', b: '=a', c: '=a' },
      { a: '2', b: '=a' },
      { a: '2', b: '=a', c: '1' },
    ],
  ])('%s', (_, base, theirs, ours, result) => {
    const all = merged(base, theirs, ours);
    expect(of(all)).toEqual(files(result));
    const paths = [...all.entries.keys()];
    for (const path of paths) {
      if (path !== '') expect(all.entries.get(path.slice(0, Math.max(path.lastIndexOf('/'), 0)))?.type).toBe('dir');
    }
  });

  it('keeps only packs that are used', () => {
    expect(merged({ a: '1' }, { a: '1' }, {}).packs.size).toBe(0);
  });
});

import fc from 'fast-check';
import { parentOf, type Tree, type TreeEntry } from '#content';
import { digestOf } from '#oci';
import { treeEntries } from '#testing';
import { describe, expect, it } from 'vitest';
import { parsePathPatterns } from './ignore.ts';
import { selectionDigest, selectSources } from './select-sources.ts';

const base = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };

/** Files named as they are, directories with a slash at the end, links as `name -> target`; parents come with them. */
function treeOf(...paths: readonly string[]): Tree {
  const entries = new Map<string, TreeEntry>();
  const add = (entry: TreeEntry): void => {
    for (let above = parentOf(entry.path); above !== ''; above = parentOf(above)) {
      if (!entries.has(above)) entries.set(above, { ...base, path: above, type: 'dir', mode: 0o755 });
    }
    entries.set(entry.path, entry);
  };
  for (const text of paths) {
    const [path = '', link] = text.split(' -> ');
    if (link !== undefined) add({ ...base, path, type: 'symlink', link });
    else if (path.endsWith('/')) add({ ...base, path: path.slice(0, -1), type: 'dir', mode: 0o755 });
    else add({ ...base, path, type: 'file', size: 1, digest: digestOf(path) });
  }
  return entries;
}

interface Options {
  readonly parents?: boolean;
  readonly excludes?: readonly string[];
}

/** `path path`, directories with a slash, those on the way in brackets. */
const taken = (tree: Tree, patterns: readonly string[], options: Options): readonly string[] =>
  selectSources(tree, patterns, options).map(({ entries, onTheWay }) =>
    entries
      .map(({ path, type }) => (type === 'dir' ? `${path}/` : path))
      .map((path) => (onTheWay.has(path.replace(/\/$/, '')) ? `[${path}]` : path))
      .join(' '),
  );

const test = treeOf(
  'test/a/b/c/d/foo',
  'test/a/b/c/d/e/bay',
  'test/a/b2/c/d/e/bar',
  'test/a/b/c2/d/e/baz',
  'test/a/b/c2/d/e2/baz',
  'test/a/afile',
  'test/link -> a/b',
);

describe('--parents', () => {
  it.each([
    ['test/a/b/c/d/foo', ['[test/] [test/a/] [test/a/b/] [test/a/b/c/] [test/a/b/c/d/] test/a/b/c/d/foo']],
    ['test/a/b/./c/d', ['[c/] c/d/ c/d/e/ c/d/e/bay c/d/foo']],
    ['test/a/b/c/./d/.', ['d/ d/e/ d/e/bay d/foo']],
    ['test/a/./b/./c', ['[b/] b/c/ b/c/d/ b/c/d/e/ b/c/d/e/bay b/c/d/foo']],
    ['test/a/./*/c', ['[b/] b/c/ b/c/d/ b/c/d/e/ b/c/d/e/bay b/c/d/foo [b2/] b2/c/ b2/c/d/ b2/c/d/e/ b2/c/d/e/bar']],
    ['test/a/b*/./c/**/e', ['[c/] [c/d/] c/d/e/ c/d/e/bay', '[c/] [c/d/] c/d/e/ c/d/e/bar']],
    ['test/a/b/c*/./d/**/baz', ['', '[d/] [d/e/] d/e/baz [d/e2/] d/e2/baz']],
    [
      'test/a/b/./**/ba[yz]',
      ['[c/] [c/d/] [c/d/e/] c/d/e/bay [c2/] [c2/d/] [c2/d/e/] c2/d/e/baz [c2/d/e2/] c2/d/e2/baz'],
    ],
    ['test/./link', ['link']],
    ['test/link/./c/d/foo', ['[c/] [c/d/] c/d/foo']],
    ['test/a/b3*/c', ['']],
    ['test/a/b/./c3*', ['']],
    ['test/a/x*/./c', []],
    ['test/a/a*/./c', []],
    ['test/a/b2/./.', ['c/ c/d/ c/d/e/ c/d/e/bar']],
  ])('%s', (pattern, entries) => {
    expect(taken(test, [pattern], { parents: true })).toEqual(entries);
  });

  it.each([
    ['test/missing', '"/test/missing": not found', 'paths are relative'],
    ['test/a/./B', '"/test/a/B": not found', 'did you mean /test/a/b'],
    ['tset/./a', '"/tset/a": not found', 'did you mean /test/a?'],
    ['test/a/afile/./x', '"/test/a/afile/x": not found', 'paths are relative'],
    ['test/link/c', '"/test/link/c": not found', '"/test/link" is a link to "a/b"'],
    ['**/[', 'syntax error in pattern "**/["', 'every [ needs a ]'],
  ])('says what is wrong with %s', (pattern, message, hint) => {
    expect(() => taken(test, [pattern], { parents: true })).toThrow(
      expect.objectContaining({ message, hint: expect.stringContaining(hint) as unknown }),
    );
  });

  it('takes a name as it is behind backslashes', () => {
    const tree = treeOf('d/a*b', 'd/axb');
    expect(taken(tree, ['d/a\\*b'], { parents: true })).toEqual(['[d/] d/a*b']);
  });
});

describe('--exclude', () => {
  const tree = treeOf('d/a.txt', 'd/b.md', 'd/sub/c.txt', 'd/sub/keep.txt', 'd/sub/deep/e.txt', 'd/z/', 'f.txt');

  it.each([
    ['d', ['*.txt'], ['b.md sub/ sub/c.txt sub/deep/ sub/deep/e.txt sub/keep.txt z/']],
    ['d', ['**/*.txt'], ['b.md sub/ sub/deep/ z/']],
    ['d', ['sub', '*.md'], ['a.txt z/']],
    ['d', ['sub', '!sub/keep.txt'], ['a.txt b.md [sub/] sub/keep.txt z/']],
    ['d', ['sub/*', '!**/e.txt'], ['a.txt b.md sub/ [sub/deep/] sub/deep/e.txt z/']],
    ['d', ['**'], ['']],
    ['d', ['**', '!sub/deep'], ['[sub/] sub/deep/ sub/deep/e.txt']],
    ['d', ['', ' sub/ '], ['a.txt b.md z/']],
    ['d', ['/sub'], ['a.txt b.md sub/ sub/c.txt sub/deep/ sub/deep/e.txt sub/keep.txt z/']],
    ['.', ['d/*'], ['d/ f.txt']],
    ['*', ['*.txt'], ['b.md sub/ sub/c.txt sub/deep/ sub/deep/e.txt sub/keep.txt z/', 'f.txt']],
    ['f.txt', ['*'], ['f.txt']],
  ])('from %s leaves out %j', (pattern, excludes, entries) => {
    expect(taken(tree, [pattern], { excludes })).toEqual(entries);
  });

  it('goes along with --parents', () => {
    expect(taken(tree, ['d/sub'], { parents: true, excludes: ['**/c.txt', 'd/sub/deep'] })).toEqual([
      '[d/] d/sub/ d/sub/keep.txt',
    ]);
  });

  it('refuses patterns that are none', () => {
    for (const exclude of ['!', '[a']) {
      expect(() => taken(tree, ['d'], { excludes: [exclude] })).toThrow(
        expect.objectContaining({ code: 'DOCKERFILE_INVALID' }),
      );
    }
  });
});

describe('what is selected from any tree', () => {
  const component = fc.constantFrom('a', 'b', 'a-', '*', '?', '**', '[ab]', '😀');
  const pattern = fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
  const exclude = fc.tuple(fc.constantFrom('', '', '!'), pattern).map((parts) => parts.join(''));

  it('is what its patterns take, with every directory that leads there', () => {
    fc.assert(
      fc.property(treeEntries, pattern, fc.array(exclude, { maxLength: 3 }), (entries, include, excludes) => {
        const tree: Tree = new Map(entries.map((entry) => [entry.path, entry]));
        const wanted = parsePathPatterns([include]);
        const refused = parsePathPatterns(excludes);
        // A pattern that names what is not there is refused, which is another test's matter.
        const selection = selectSources(tree, [include.includes('*') ? include : `${include}*`], {
          parents: true,
          excludes,
        })[0];
        const rules = include.includes('*') ? wanted : parsePathPatterns([`${include}*`]);
        const expected = [...tree.keys()].filter((path) => rules.ignores(path) && !refused.ignores(path));
        const all = new Set(selection?.entries.map(({ path }) => path));
        const direct = [...all].filter((path) => selection?.onTheWay.has(path) === false);
        expect(direct.sort()).toEqual(expected.sort());
        for (const path of all) if (parentOf(path) !== '') expect(all).toContain(parentOf(path));
        for (const way of selection?.onTheWay ?? [])
          expect(expected.some((path) => path.startsWith(`${way}/`))).toBe(true);
      }),
    );
  });

  it('has a digest of what lands, whatever the patterns are called', () => {
    const digest = (paths: readonly string[], patterns: readonly string[], options: Options): string =>
      selectionDigest(selectSources(treeOf(...paths), patterns, options));
    const files = ['d/a', 'd/b', 'd/c'];
    expect(digest(files, ['d'], { excludes: ['c'] })).toBe(digest(['d/a', 'd/b'], ['d'], {}));
    expect(digest(files, ['d'], { excludes: ['c'] })).toBe(digest([...files, 'other'], ['d'], { excludes: ['[c-z]'] }));
    expect(digest(files, ['d'], { excludes: ['c'] })).not.toBe(digest(files, ['d'], { excludes: ['b'] }));
    // By landed names: the same file below another directory is another selection.
    expect(digest(files, ['d/a'], { parents: true })).not.toBe(digest(files, ['d/./a'], { parents: true }));
    expect(digest(files, ['d/./a'], { parents: true })).toBe(
      digest(files, ['./d/./?'], { parents: true, excludes: ['[bc]'] }),
    );
    // A directory on the way keeps its owner where it is there, one that was taken does not.
    expect(digest(['d/a'], ['d/*'], { parents: true })).not.toBe(digest(['d/a'], ['d'], { parents: true }));
  });
});

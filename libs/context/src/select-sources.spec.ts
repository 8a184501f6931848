import type { Tree, TreeEntry } from '#content';
import { digestOf } from '#oci';
import { describe, expect, it } from 'vitest';
import { parseIgnore } from './ignore.ts';
import { makeManifest } from './manifest.ts';
import { selectionDigest, selectSources } from './select-sources.ts';

const base = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
const dir = (path: string, change: Partial<TreeEntry> = {}): TreeEntry => ({
  ...base,
  path,
  type: 'dir',
  mode: 0o755,
  ...change,
});
const file = (path: string, text = path, change: Partial<TreeEntry> = {}): TreeEntry => ({
  ...base,
  path,
  type: 'file',
  size: text.length,
  digest: digestOf(text),
  ...change,
});
const link = (path: string, target: string): TreeEntry => ({
  ...base,
  path,
  type: 'symlink',
  mode: 0o777,
  link: target,
});
const treeFrom = (...entries: readonly TreeEntry[]): Tree => new Map(entries.map((entry) => [entry.path, entry]));

const tree = treeFrom(
  file('Dockerfile'),
  file('package.json'),
  file('package-lock.json'),
  file('we*ird'),
  dir('src'),
  file('src/a.ts'),
  file('src/b.js'),
  dir('src/lib'),
  file('src/lib/c.ts'),
  link('src/lib/up', '../a.ts'),
  dir('test'),
  file('test/a.ts'),
  dir('empty'),
  link('linked', 'src/lib'),
  link('absolute', '/src/a.ts'),
  link('escape', '../../../src/a.ts'),
  link('broken', 'nowhere'),
  link('loop', 'loop'),
);
/** `source: path path` for each selection. */
const taken = (...patterns: readonly string[]): readonly string[] =>
  selectSources(tree, patterns).map(
    ({ source, directory, entries }) =>
      `${source}${directory ? '/' : ''}: ${entries.map(({ path }) => path).join(' ')}`,
  );

describe('selectSources', () => {
  it.each([
    ['package.json', 'package.json: package.json'],
    ['./package.json', 'package.json: package.json'],
    ['/package.json', 'package.json: package.json'],
    ['../../package.json', 'package.json: package.json'],
    ['src/../package.json', 'package.json: package.json'],
    ['src/a.ts', 'src/a.ts: a.ts'],
    ['src', 'src/: a.ts b.js lib lib/c.ts lib/up'],
    ['src/', 'src/: a.ts b.js lib lib/c.ts lib/up'],
    ['src/.', 'src/: a.ts b.js lib lib/c.ts lib/up'],
    ['empty', 'empty/: '],
    ['we*ird', 'we*ird: we*ird'],
    ['we\\*ird', 'we*ird: we*ird'],
    ['we[*]ird', 'we*ird: we*ird'],
  ])('takes %j', (pattern, expected) => {
    expect(taken(pattern)).toEqual([expected]);
  });

  it('takes the whole tree for the root, whatever it is called', () => {
    for (const pattern of ['.', '/', './', '..', 'src/..']) {
      const [selection] = selectSources(tree, [pattern]);
      expect(selection?.source).toBe('');
      expect(selection?.entries.map(({ path }) => path).sort()).toEqual([...tree.keys()].sort());
    }
  });

  it('takes what wildcards match, in order, pattern by pattern', () => {
    expect(taken('package*.json')).toEqual(['package-lock.json: package-lock.json', 'package.json: package.json']);
    expect(taken('*/*.ts')).toEqual(['src/a.ts: a.ts', 'test/a.ts: a.ts']);
    expect(taken('t*', 'package.json')).toEqual(['test/: a.ts', 'package.json: package.json']);
    expect(taken('s?c/[a-b].*')).toEqual(['src/a.ts: a.ts', 'src/b.js: b.js']);
    expect(taken('*/lib')).toEqual(['src/lib/: c.ts up']);
  });

  it('takes nothing for a wildcard that matches nothing', () => {
    expect(taken('missing*')).toEqual([]);
    expect(taken('src/*.go', 'package.json/*')).toEqual([]);
  });

  it('follows links that name the source, and keeps its name', () => {
    expect(taken('absolute')).toEqual(['absolute: absolute']);
    expect(selectSources(tree, ['absolute'])[0]?.entries[0]).toMatchObject({
      type: 'file',
      digest: digestOf('src/a.ts'),
    });
    expect(taken('escape')).toEqual(['escape: escape']);
    expect(taken('linked')).toEqual(['linked/: c.ts up']);
    expect(taken('linked/c.ts')).toEqual(['linked/c.ts: c.ts']);
    expect(taken('linked/*.ts')).toEqual(['src/lib/c.ts: c.ts']);
    expect(taken('abs*')).toEqual(['absolute: absolute']);
    expect(selectSources(tree, ['linked/up'])[0]?.entries).toEqual([{ ...file('src/a.ts'), path: 'up' }]);
  });

  it('copies links within a directory as links', () => {
    expect(selectSources(tree, ['src/lib'])[0]?.entries[1]).toEqual({ ...link('up', '../a.ts') });
  });

  it('does not go through links between wildcards', () => {
    expect(taken('link*/c.ts')).toEqual([]);
  });

  it('keeps hard links among what is selected', () => {
    const linked = treeFrom(
      dir('a'),
      file('a/1', 'x'),
      dir('b'),
      file('b/2', 'x', { hardlink: 'a/1' }),
      file('b/3', 'x', { hardlink: 'a/1' }),
    );
    const names = (pattern: string): unknown =>
      selectSources(linked, [pattern])[0]?.entries.map(({ path, hardlink }) => [path, hardlink]);
    expect(names('b')).toEqual([
      ['2', undefined],
      ['3', '2'],
    ]);
    expect(names('b/3')).toEqual([['3', undefined]]);
    expect(names('.')).toContainEqual(['b/3', 'a/1']);
  });

  it.each([
    ['missing', '"/missing": not found', 'paths are relative'],
    ['src/missing', '"/src/missing": not found', 'paths are relative'],
    ['pakage.json', '"/pakage.json": not found', '/package.json'],
    ['DOCKERFILE', '"/DOCKERFILE": not found', '/Dockerfile'],
    ['c.ts', '"/c.ts": not found', '/src/lib/c.ts'],
    ['package.json/x', '"/package.json/x": not found', 'paths are relative'],
    ['missing/*.ts', '"/missing": not found', 'paths are relative'],
    ['broken', '"/broken": not found', 'a link to "nowhere"'],
    ['loop', '"/loop": not found', 'a link to "loop"'],
    ['bro*', '"/broken": not found', 'a link to "nowhere"'],
  ])('says that %j is not there, and what may be meant', (pattern, message, hint) => {
    expect(() => taken(pattern)).toThrow(
      expect.objectContaining({ code: 'SOURCE_NOT_FOUND', message, hint: expect.stringContaining(hint) as unknown }),
    );
  });

  it('says that .dockerignore excluded it', () => {
    const manifest = makeManifest([file('kept')]);
    const unfiltered = makeManifest([file('kept'), dir('a'), file('a/secret')]);
    expect(() => selectSources(manifest, ['a/secret'], { unfiltered })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('.dockerignore') as unknown }),
    );
  });

  it('says that .dockerignore may have kept it from being sent', () => {
    expect(() => selectSources(makeManifest([file('kept')]), ['a/secret'], { ignore: parseIgnore('a') })).toThrow(
      expect.objectContaining({ hint: 'if it is in the context, .dockerignore leaves it out' }),
    );
  });

  it('refuses a malformed pattern as the Dockerfile’s fault', () => {
    expect(() => taken('src/[a')).toThrow(expect.objectContaining({ code: 'DOCKERFILE_INVALID' }));
  });
});

describe('selectionDigest', () => {
  const entries = [dir('d'), file('d/f', 'x'), link('d/l', 'f'), file('e', 'y'), file('other')];
  const digest = (list: readonly TreeEntry[], ...patterns: readonly string[]): string =>
    selectionDigest(selectSources(treeFrom(...list), patterns));
  const changed = (path: string, change: Partial<TreeEntry>): readonly TreeEntry[] =>
    entries.map((entry) => (entry.path === path ? { ...entry, ...change } : entry));
  const whole = digest(entries, 'd', 'e');

  it.each<[string, string, Partial<TreeEntry>]>([
    ['content', 'd/f', { digest: digestOf('z') }],
    ['mode', 'd/f', { mode: 0o755 }],
    ['owner', 'd/f', { uid: 1 }],
    ['group', 'd/f', { gid: 1 }],
    ['link target', 'd/l', { link: 'g' }],
    ['attributes', 'd/f', { xattrs: { a: 'YQ==' } }],
    ['content of a file source', 'e', { digest: digestOf('z') }],
    ['name', 'd/f', { path: 'd/g' }],
    ['type', 'd/f', { type: 'fifo', digest: undefined }],
  ])('changes with %s', (_, path, change) => {
    expect(digest(changed(path, change), 'd', 'e')).not.toBe(whole);
  });

  it('hashes the bytes that its comment promises', () => {
    const lines = [
      'kiln.selection 1',
      'dir',
      `["f","file",420,0,0,"${digestOf('x')}",null,null,null,null]`,
      '["l","symlink",511,0,0,null,"f",null,null,null]',
      'file',
      `["e","file",420,0,0,"${digestOf('y')}",null,null,null,null]`,
    ];
    expect(whole).toBe(digestOf(lines.map((line) => `${line}\n`).join('')));
  });

  it('changes with what is added and removed', () => {
    expect(digest([...entries, dir('d/new')], 'd', 'e')).not.toBe(whole);
    expect(
      digest(
        entries.filter(({ path }) => path !== 'd/l'),
        'd',
        'e',
      ),
    ).not.toBe(whole);
    expect(digest(entries, 'e', 'd')).not.toBe(whole);
    expect(digest(entries, 'd')).not.toBe(whole);
  });

  it('does not change with what does not land', () => {
    expect(digest(changed('other', { digest: digestOf('z') }), 'd', 'e')).toBe(whole);
    expect(digest(changed('d', { mode: 0o700, uid: 5 }), 'd', 'e')).toBe(whole);
    expect(
      digest(
        entries.map((entry) => ({ ...entry, mtime: 99 })),
        'd',
        'e',
      ),
    ).toBe(whole);
    expect(digest([...entries].reverse(), 'd', 'e')).toBe(whole);
    const moved = entries.map((entry) => ({ ...entry, path: entry.path.replace(/^d/, 'moved') }));
    expect(digest(moved, 'moved', 'e')).toBe(whole);
  });

  it('counts the name of a file, not the way to it', () => {
    const list = [dir('a'), file('a/f', 'x'), dir('b'), file('b/f', 'x'), file('b/g', 'x'), link('l', 'b/f')];
    expect(digest(list, 'a/f')).toBe(digest(list, 'b/f'));
    expect(digest(list, 'b/g')).not.toBe(digest(list, 'b/f'));
    expect(digest(list, 'l')).not.toBe(digest(list, 'b/f'));
    expect(digest(list, 'a')).not.toBe(digest(list, 'a/f'));
    expect(digest([dir('a')], 'a')).not.toBe(digest([dir('a')], 'x*'));
  });
});

import { parentOf, type TreeEntry } from '#content';
import { digestOf } from '#oci';
import { treeEntries } from '#testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIgnore } from './ignore.ts';
import { decodeManifest, encodeManifest, filterManifest, makeManifest, treeOf } from './manifest.ts';

const base = { mode: 0o644, uid: 0, gid: 0, mtime: 7 };
const dir = (path: string): TreeEntry => ({ ...base, path, type: 'dir', mode: 0o755 });
const file = (path: string): TreeEntry => ({ ...base, path, type: 'file', size: 1, digest: digestOf('x') });

/** Trees as a client can send them. */
const contexts = treeEntries.map((entries) =>
  entries.filter(({ type }) => type !== 'char' && type !== 'block').map((entry) => ({ ...entry, uid: 0, gid: 0 })),
);

describe('a manifest', () => {
  it('comes back from its bytes; equal contexts are equal bytes', () => {
    fc.assert(
      fc.property(contexts, (entries) => {
        const manifest = makeManifest(entries);
        const bytes = encodeManifest(manifest);
        expect(decodeManifest(bytes)).toEqual(manifest);
        expect(encodeManifest(makeManifest([...entries].reverse()))).toEqual(bytes);
        expect(treeOf(manifest).size).toBe(entries.length);
      }),
    );
  });

  it('keeps the names of one file together, whatever .dockerignore leaves of them', () => {
    const linked = (path: string) => ({ ...file(path), hardlink: 'a' });
    const manifest = makeManifest([linked('c'), file('a'), linked('b')]);
    expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest);
    const left = filterManifest(manifest, parseIgnore('a\n')).entries;
    expect(left.map(({ path, hardlink }) => [path, hardlink])).toEqual([
      ['b', undefined],
      ['c', 'b'],
    ]);
  });

  it.each<[string, readonly TreeEntry[]]>([
    ['the root', [dir('')]],
    ['a device', [{ ...base, path: 'n', type: 'char', device: { major: 1, minor: 1 } }]],
    ['an owner', [{ ...dir('a'), uid: 1 }]],
    ['a group', [{ ...dir('a'), gid: 1 }]],
    ['a further name of nothing', [file('a'), { ...file('b'), hardlink: 'c' }]],
    ['a further name of a directory', [dir('a'), { ...file('b'), hardlink: 'a' }]],
    ['a further name that comes first', [{ ...file('a'), hardlink: 'b' }, file('b')]],
    ['a further name of another file', [file('a'), { ...file('b'), hardlink: 'a', digest: digestOf('other') }]],
    ['attributes', [{ ...file('a'), xattrs: {} }]],
    ['a name twice', [file('a'), file('a')]],
    ['no parent', [file('a/b')]],
    ['a file below a file', [file('a'), file('a/b')]],
    ['a file behind a link', [{ ...base, path: 'a', type: 'symlink', link: 'b' }, dir('b'), file('a/c')]],
  ])('holds no %s', (_, entries) => {
    expect(() => makeManifest(entries)).toThrow(expect.objectContaining({ code: 'CONTEXT_INVALID' }));
  });

  it('is refused out of order', () => {
    const [head, a, b] = encodeManifest(makeManifest([dir('a'), dir('b')]))
      .toString()
      .split('\n');
    expect(() => decodeManifest(Buffer.from(`${head}\n${b}\n${a}\n`))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});

describe('filterManifest', () => {
  const rules = fc
    .array(fc.constantFrom('a', '*', 'a/*', '**/b', '!a', '!a/b', '!**/a-', 'b/**', '!*/*/a'), { maxLength: 4 })
    .map((lines) => parseIgnore(lines.join('\n')));

  it('leaves what is not ignored, and the directories above it', () => {
    fc.assert(
      fc.property(contexts, rules, (entries, ignore) => {
        const manifest = makeManifest(entries);
        const expected = new Set<string>();
        for (const { path } of entries) {
          if (ignore.ignores(path)) continue;
          for (let at = path; at !== ''; at = parentOf(at)) expected.add(at);
        }
        const left = filterManifest(manifest, ignore);
        expect(left.entries).toEqual(manifest.entries.filter(({ path }) => expected.has(path)));
        expect(makeManifest(left.entries)).toEqual(left);
      }),
      { numRuns: 500 },
    );
  });
});

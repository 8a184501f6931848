import { digestOf } from '#oci';
import { canonicalJson, type Json, single } from '#std';
import { deltaEntries } from '#testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeDelta, encodeDelta, readDelta } from './delta-codec.ts';
import { entryJson } from './entry-json.ts';
import { comparePaths } from './path.ts';
import type { DeltaEntry, TreeEntry } from './tree.ts';

const header = '{"kind":"delta","version":1}\n';
const base = { mode: 0o644, uid: 0, gid: 0, mtime: 5 };
const rich: TreeEntry = {
  ...base,
  path: 'a/\udce9',
  type: 'file',
  size: 1,
  digest: digestOf('x'),
  hardlink: 'a/b',
  xattrs: { 'user.b': 'Yg==', 'user.a': 'YQ==' },
};

describe('the bytes of a delta', () => {
  it('come back as the same delta, in order, whatever the order was', () => {
    fc.assert(
      fc.property(deltaEntries, (delta) => {
        const ordered = [...delta].sort((a, b) => comparePaths(a.path, b.path));
        const bytes = encodeDelta(delta);
        expect(decodeDelta(bytes)).toEqual(ordered);
        expect(encodeDelta([...delta].reverse())).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  it('are canonical JSON, a line an entry', () => {
    const entries: readonly DeltaEntry[] = [
      rich,
      { ...base, path: 'd', type: 'dir', opaque: true },
      { ...base, path: 'l', type: 'symlink', link: 'x' },
      { ...base, path: 'n', type: 'block', device: { minor: 1, major: 2 } },
      { path: 'w', type: 'whiteout' },
    ];
    // A JSON round trip makes of an entry what it is as JSON.
    for (const entry of entries)
      expect(entryJson(entry)).toBe(canonicalJson(JSON.parse(JSON.stringify(entry)) as Json));
    expect(encodeDelta(entries).toString()).toBe(
      `${header}${entries.map((entry) => `${entryJson(entry)}\n`).join('')}`,
    );
    expect(decodeDelta(encodeDelta(entries))).toEqual(entries);
  });

  it('are read as a stream, up to a limit', async () => {
    const bytes = encodeDelta([rich]);
    expect(await readDelta(single(bytes), 1000)).toEqual([rich]);
    await expect(readDelta(single(bytes), 100)).rejects.toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  });

  const line = (change: object): string =>
    `${header}${JSON.stringify({ ...(JSON.parse(entryJson(rich)) as object), ...change })}\n`;
  it.each([
    ['nothing', ''],
    ['another version', '{"kind":"delta","version":2}\n'],
    ['a list of another kind', '{"kind":"context","version":1}\n'],
    ['no end of line', `${header}${entryJson(rich)}`],
    ['half a line', `${header}{"path":\n`],
    ['an absolute path', line({ path: '/etc' })],
    ['a path that leads out', line({ path: '../x' })],
    ['a path that is not clean', line({ path: 'a//b' })],
    ['a second spelling of a name', line({ path: '\udcc3\udca9' })],
    ['a hard link that leads out', line({ hardlink: '../x' })],
    ['an unknown field', line({ extra: 1 })],
    ['an unknown type', line({ type: 'socket' })],
    ['a file without digest', line({ digest: undefined })],
    ['a digest that is none', line({ digest: 'sha256:1' })],
    ['a mode beyond its bits', line({ mode: 0o10000 })],
    ['a negative owner', line({ uid: -1 })],
    ['a broken mtime', line({ mtime: 1.5 })],
    ['an opaque file', line({ opaque: true })],
    ['an attribute that is not base64', line({ xattrs: { a: '%' } })],
    ['a whiteout of the root', `${header}{"path":"","type":"whiteout"}\n`],
    ['an entry twice', `${header}${entryJson(rich)}\n${entryJson(rich)}\n`],
    ['a wrong order', `${header}{"path":"b","type":"whiteout"}\n{"path":"a","type":"whiteout"}\n`],
  ])('are refused with %s', (_, text) => {
    expect(() => decodeDelta(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('are not written for a path that is there twice', () => {
    expect(() => encodeDelta([rich, rich])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

import { entryJson, type TreeEntry } from '#content';
import { digestOf } from '#oci';
import { type Bytes, collect, isKilnError, single } from '#std';
import { treeEntries } from '#testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeManifest, encodeManifest, makeManifest } from './manifest.ts';
import { manifestBytes, readManifest } from './read-manifest.ts';

const LIMIT = 1 << 20;

/** Trees as a client can send them. */
const contexts = treeEntries.map((entries) =>
  entries.filter(({ type }) => type !== 'char' && type !== 'block').map((entry) => ({ ...entry, uid: 0, gid: 0 })),
);

async function* pieces(bytes: Uint8Array, cuts: readonly number[]): Bytes {
  let from = 0;
  for (const cut of [...cuts, bytes.byteLength].map((at) => Math.min(at, bytes.byteLength)).sort((a, b) => a - b)) {
    yield bytes.subarray(from, cut);
    from = cut;
  }
}

interface Read {
  readonly entries: readonly TreeEntry[];
  readonly bytes: string;
}

/** What comes of bytes, read as a stream. */
async function streamed(source: Bytes): Promise<Read | 'refused'> {
  const entries: TreeEntry[] = [];
  try {
    const canonical = readManifest(source, { maxBytes: LIMIT, onEntry: (entry) => entries.push(entry) });
    const bytes = (await collect(canonical, 2 * LIMIT)).toString();
    return { entries, bytes };
  } catch (thrown) {
    if (isKilnError(thrown, 'INVALID_ARGUMENT') || isKilnError(thrown, 'CONTEXT_INVALID')) return 'refused';
    throw thrown;
  }
}

/** The same, read in one go. */
function whole(bytes: Uint8Array): Read | 'refused' {
  try {
    const manifest = decodeManifest(bytes);
    return { entries: manifest.entries, bytes: encodeManifest(manifest).toString() };
  } catch (thrown) {
    if (isKilnError(thrown, 'INVALID_ARGUMENT') || isKilnError(thrown, 'CONTEXT_INVALID')) return 'refused';
    throw thrown;
  }
}

const base = { mode: 0o644, uid: 0, gid: 0, mtime: 7 };
const file = (path: string, more: Partial<TreeEntry> = {}): TreeEntry => ({
  ...base,
  path,
  type: 'file',
  size: 1,
  digest: digestOf('x'),
  ...more,
});
const dir = (path: string): TreeEntry => ({ ...base, path, type: 'dir', mode: 0o755 });
const HEADER = '{"kind":"context","version":1}';
const linesOf = (...entries: readonly TreeEntry[]): Buffer =>
  Buffer.from([HEADER, ...entries.map(entryJson), ''].join('\n'));

/** Something that may be wrong with bytes. */
const damage = fc.oneof(
  fc.record({ kind: fc.constant('byte' as const), at: fc.nat(4_000), value: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(4_000), value: fc.constant(0) }),
  fc.record({ kind: fc.constant('swap' as const), at: fc.nat(12), value: fc.nat(12) }),
  fc.record({ kind: fc.constant('twice' as const), at: fc.nat(12), value: fc.constant(0) }),
  fc.record({ kind: fc.constant('drop' as const), at: fc.nat(12), value: fc.constant(0) }),
  fc.record({ kind: fc.constant('spaces' as const), at: fc.nat(12), value: fc.constant(0) }),
);

function damaged(bytes: Buffer, { kind, at, value }: { kind: string; at: number; value: number }): Buffer {
  if (kind === 'cut') return bytes.subarray(0, at % (bytes.length + 1));
  if (kind === 'byte') {
    const changed = Buffer.from(bytes);
    changed[at % bytes.length] = value;
    return changed;
  }
  const lines = bytes.toString().split('\n');
  const [a, b] = [at % lines.length, value % lines.length];
  const [left = '', right = ''] = [lines[a], lines[b]];
  if (kind === 'swap') [lines[a], lines[b]] = [right, left];
  if (kind === 'twice') lines.splice(a, 0, left);
  if (kind === 'drop') lines.splice(a, 1);
  if (kind === 'spaces') lines[a] = ` ${left} `;
  return Buffer.from(lines.join('\n'));
}

describe('a manifest that is read as a stream', () => {
  it('is what it is when it is read whole, wherever its bytes are cut', async () => {
    const cuts = fc.array(fc.nat(4_000), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(contexts, cuts, async (entries, at) => {
        const bytes = encodeManifest(makeManifest(entries));
        expect(await streamed(pieces(bytes, at))).toEqual(whole(bytes));
        expect(await collect(manifestBytes(makeManifest(entries)), LIMIT)).toEqual(bytes);
      }),
    );
  });

  it('is refused where it is refused whole, and in no other place', async () => {
    const cuts = fc.array(fc.nat(4_000), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(contexts, damage, cuts, async (entries, what, at) => {
        const bytes = damaged(encodeManifest(makeManifest(entries)), what);
        expect(await streamed(pieces(bytes, at))).toEqual(whole(bytes));
      }),
      { numRuns: 500 },
    );
  });

  it.each<[string, Buffer]>([
    ['links', linesOf(file('a'), file('b', { hardlink: 'a' }), dir('c'), file('c/d', { hardlink: 'a' }))],
    ['names of all planes', linesOf(dir('é'), file('é/\u{1f600}'), file('\u{ff5e}'), file('\u{1f600}'))],
    ['a link of a link', linesOf(file('a'), file('b', { hardlink: 'a' }), file('c', { hardlink: 'b' }))],
    ['a link with another mode', linesOf(file('a'), file('b', { hardlink: 'a', mode: 0o600 }))],
    ['a link to a directory', linesOf(dir('a'), file('b', { hardlink: 'a' }))],
    ['a link to what comes later', linesOf(file('a', { hardlink: 'b' }), file('b'))],
    ['siblings that sort around a directory', linesOf(file('a'), dir('a-b'), file('a-b/c'), dir('b'), file('b/c'))],
    ['a file under a directory that was left', linesOf(dir('a'), dir('b'), file('a/c'))],
    ['a file under a file', linesOf(file('a'), file('a/c'))],
    ['the root', linesOf(dir(''))],
    ['bytes that are no UTF-8', Buffer.concat([Buffer.from(`${HEADER}\n{"`), Buffer.of(0xc3), Buffer.from('\n"}\n')])],
    ['nothing', Buffer.from('')],
    ['its head alone', Buffer.from(`${HEADER}\n`)],
    ['its head without an end', Buffer.from(HEADER)],
    ['another head', Buffer.from('{}\n')],
    ['an empty line', Buffer.from(`${HEADER}\n\n`)],
  ])('comes to the same with %s, at every cut', async (_, bytes) => {
    const expected = whole(bytes);
    for (let at = 0; at <= bytes.length; at++) expect(await streamed(pieces(bytes, [at]))).toEqual(expected);
  });

  it('gives no file another name for bytes that are no UTF-8', async () => {
    const bytes = linesOf(file('caf_'));
    bytes[bytes.indexOf('_')] = 0xe9;
    expect([whole(bytes), await streamed(single(bytes))]).toEqual(['refused', 'refused']);
  });

  it('ends at the first thing that its reader refuses, and at its bounds', async () => {
    const bytes = linesOf(file('a'), file('b'), file('c'));
    const seen: string[] = [];
    const reading = readManifest(single(bytes), {
      maxBytes: LIMIT,
      onEntry: ({ path }) => {
        seen.push(path);
        if (path === 'b') throw new Error('enough');
      },
    });
    await expect(collect(reading, LIMIT)).rejects.toThrow('enough');
    expect(seen).toEqual(['a', 'b']);
    const long = { code: 'LIMIT_EXCEEDED' };
    await expect(collect(readManifest(single(bytes), { maxBytes: 100 }), LIMIT)).rejects.toMatchObject(long);
    const line = linesOf(file('a'.repeat(200_000)));
    await expect(collect(readManifest(single(line), { maxBytes: LIMIT }), LIMIT)).rejects.toMatchObject(long);
  });

  it('lets others at the event loop', async () => {
    const entries = Array.from({ length: 20_000 }, (_, at) => file(`f${String(at).padStart(6, '0')}`));
    const bytes = linesOf(...entries);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    try {
      for await (const _ of readManifest(single(bytes), { maxBytes: 1 << 24 }));
      const read = turns;
      for await (const _ of manifestBytes({ version: 1, entries }));
      expect([read > 2, turns > read]).toEqual([true, true]);
    } finally {
      clearInterval(timer);
    }
  });
});

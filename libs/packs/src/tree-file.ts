import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { pipeline as piped } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { isCleanPath, comparePaths, parentOf } from '#content';
import { type Digest, DigestSchema, Hasher } from '#oci';
import { type Bytes, isKilnError, KilnError, messageOf } from '#std';
import { z } from 'zod';
import { MAX_ENTRIES, type Pack, type PackedEntry, type PackedTree } from './packed-tree.ts';

const KIND = 'cache-mount';
const VERSION = 1;
/** A line is flushed to the compressor with others. */
const PIECE_CHARACTERS = 256 * 1024;
/** Names, targets and attributes of one entry stay far below. */
const LINE_LIMIT_BYTES = 4 * 1024 * 1024;
const LEVEL = 3;

const id = z.int().nonnegative();
const path = z.string().refine(isCleanPath, 'not a clean relative path');
const fields = {
  path,
  mode: z.int().min(0).max(0o7777),
  uid: id,
  gid: id,
  mtime: z.string().regex(/^-?\d{1,20}$/),
  xattrs: z.record(z.string(), z.base64()).optional(),
  seen: z.string().optional(),
};
const Line = z.discriminatedUnion('type', [
  z.strictObject({
    ...fields,
    type: z.literal('file'),
    size: id,
    digest: DigestSchema,
    pack: id.optional(),
    at: id.optional(),
    hardlink: path.optional(),
  }),
  z.strictObject({ ...fields, type: z.literal('dir') }),
  z.strictObject({ ...fields, type: z.literal('symlink'), link: z.string().min(1) }),
]);
const Header = z.strictObject({
  kind: z.literal(KIND),
  version: z.literal(VERSION),
  packs: z.array(z.strictObject({ digest: DigestSchema, sizeBytes: id, rawBytes: id })),
});

/** The tree's manifest: a header line with the packs, then a line of JSON an entry, in zstd. */
export async function writeTree(
  { packs, entries }: PackedTree,
  file: string,
): Promise<{ digest: Digest; sizeBytes: number }> {
  const hasher = new Hasher();
  await piped(
    Readable.from(pieces(packs, entries), { objectMode: false }),
    createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: LEVEL } }),
    async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        hasher.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(file, { mode: 0o600 }),
  );
  return { sizeBytes: hasher.sizeBytes, digest: hasher.digest() };
}

function* pieces(packs: PackedTree['packs'], entries: PackedTree['entries']): Generator<Buffer, void> {
  const numbers = new Map([...packs.keys()].map((digest, index) => [digest, index]));
  let text = `${JSON.stringify({ kind: KIND, version: VERSION, packs: [...packs.values()] })}\n`;
  for (const entry of entries.values()) {
    text += `${JSON.stringify({ ...entry, pack: entry.pack === undefined ? undefined : numbers.get(entry.pack) })}\n`;
    if (text.length < PIECE_CHARACTERS) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}

/** @throws KilnError BLOB_CORRUPT when the file is not what {@link writeTree} writes, whatever else it is */
export async function readTree(file: string): Promise<PackedTree> {
  try {
    return await parse(pipeline(createReadStream(file), createZstdDecompress(), () => {}));
  } catch (cause) {
    if (isKilnError(cause)) throw cause;
    throw corrupt(messageOf(cause), cause);
  }
}

async function parse(source: Bytes): Promise<PackedTree> {
  let packs: readonly Pack[] | undefined;
  const entries = new Map<string, PackedEntry>();
  let last: string | undefined;
  for await (const text of lines(source)) {
    if (packs === undefined) {
      ({ packs } = Header.parse(JSON.parse(text)));
      continue;
    }
    const entry = located(Line.parse(JSON.parse(text)), packs);
    if (last === undefined ? entry.path !== '' || entry.type !== 'dir' : comparePaths(last, entry.path) >= 0)
      throw corrupt('its entries are not in their order');
    checkPlace(entry, entries);
    last = entry.path;
    entries.set(last, entry);
    if (entries.size > MAX_ENTRIES * 2) throw corrupt('it has too many entries');
  }
  if (packs === undefined || last === undefined) throw corrupt('it is empty');
  return { packs: new Map(packs.map((pack) => [pack.digest, pack])), entries };
}

function located({ ...line }: z.infer<typeof Line>, packs: readonly Pack[]): PackedEntry {
  if (line.type !== 'file') return line;
  const { pack: number, ...rest } = line;
  if (number === undefined) {
    if (line.size > 0) throw corrupt('a file is in no pack');
    return rest;
  }
  const pack = packs[number];
  if (pack === undefined || (line.at ?? 0) + line.size > pack.rawBytes) throw corrupt('a file is in no pack');
  return { ...rest, pack: pack.digest };
}

/** Whoever makes the entries in their order never goes through a link. */
function checkPlace({ path: own, digest, hardlink }: PackedEntry, before: ReadonlyMap<string, PackedEntry>): void {
  if (own !== '' && before.get(parentOf(own))?.type !== 'dir') throw corrupt('an entry lies in no directory');
  if (hardlink === undefined) return;
  const first = before.get(hardlink);
  if (first?.type !== 'file' || first.hardlink !== undefined || first.digest !== digest)
    throw corrupt('a further name is of no file');
}

async function* lines(source: Bytes): AsyncGenerator<string, void> {
  let rest = Buffer.alloc(0);
  for await (const chunk of source) {
    let buffer = Buffer.concat([rest, chunk]);
    for (let end = buffer.indexOf(0x0a); end !== -1; end = buffer.indexOf(0x0a)) {
      yield buffer.toString('utf8', 0, end);
      buffer = buffer.subarray(end + 1);
    }
    if (buffer.length > LINE_LIMIT_BYTES) throw corrupt('a line is too long');
    rest = buffer;
  }
  if (rest.length > 0) throw corrupt('it is cut off');
}

const corrupt = (why: string, cause?: unknown): KilnError =>
  new KilnError('BLOB_CORRUPT', `the manifest of a cache mount cannot be read: ${why}`, { cause });

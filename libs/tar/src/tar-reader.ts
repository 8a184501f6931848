import { type Bytes, KilnError } from '#std';
import { ByteQueue } from './byte-queue.ts';
import { BLOCK, checksum, padding, type TarHeader, type TarType, XATTR_PREFIX } from './tar-format.ts';

export interface TarEntry {
  readonly header: TarHeader;
  /** its bytes, each chunk valid until the next is asked for; what is not read is skipped */
  readonly body: Bytes;
}

const types: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
  '7': 'file',
};

/** A name and all attributes of a file stay far below. */
const metaLimitBytes = 1024 * 1024;

/**
 * The entries of a tar (ustar, PAX, GNU), names and PAX values as the bytes that they are: libraries for Node decode
 * them as UTF-8, which breaks capabilities. Reads to the stream's end, beyond the tar's.
 * @throws KilnError BLOB_CORRUPT when it is no tar, is cut off, or has entries that no layer has (sparse files)
 */
export async function* readTar(source: Bytes): AsyncGenerator<TarEntry, void> {
  const queue = new ByteQueue(source);
  try {
    yield* entriesOf(queue);
    await queue.drain();
  } finally {
    await queue.close();
  }
}

async function* entriesOf(queue: ByteQueue): AsyncGenerator<TarEntry, void> {
  let meta = new Map<string, Buffer>();
  const globals = new Map<string, Buffer>();
  for (;;) {
    // Like Go's reader, which all image tools use: the end mark may be missing.
    if (await queue.atEnd()) return;
    const block = await queue.take(BLOCK);
    if (block === undefined) throw corrupt('it is cut off within a header');
    if (block.every((byte) => byte === 0)) return;
    const flag = String.fromCharCode(block[156] ?? 0);
    const header = parseBlock(block);
    if ('xgLK'.includes(flag)) {
      const body = await metaBody(queue, header.size);
      if (flag === 'x') meta = new Map([...meta, ...parsePax(body)]);
      else if (flag === 'g') for (const [key, value] of parsePax(body)) globals.set(key, value);
      else meta.set(flag === 'L' ? 'path' : 'linkpath', untilNul(body));
      continue;
    }
    const type = types[flag];
    if (type === undefined) throw corrupt(`it has an entry of the unknown type ${JSON.stringify(flag)}`);
    const full = withPax(header, type, new Map([...globals, ...meta]));
    meta = new Map();
    let left = full.size;
    yield {
      header: full,
      body: (async function* (): Bytes {
        while (left > 0) {
          const chunk = await queue.some(left);
          if (chunk === undefined) throw corrupt('it is cut off within a file');
          left -= chunk.byteLength;
          yield chunk;
        }
      })(),
    };
    if (!(await queue.skip(left + padding(full.size)))) throw corrupt('it is cut off within a file');
  }
}

async function metaBody(queue: ByteQueue, size: number): Promise<Buffer> {
  if (size > metaLimitBytes) throw corrupt(`it has a header of ${size} bytes`);
  const body = await queue.take(size);
  if (body === undefined || !(await queue.skip(padding(size)))) throw corrupt('it is cut off within a header');
  return body;
}

function parseBlock(block: Buffer): Omit<TarHeader, 'type'> {
  if (number(block, 148, 8) !== checksum(block)) throw corrupt('a header’s checksum is wrong');
  const magic = block.toString('latin1', 257, 263);
  const prefix = magic === 'ustar\0' ? untilNul(block.subarray(345, 500)) : Buffer.alloc(0);
  const name = untilNul(block.subarray(0, 100));
  return {
    name: prefix.length > 0 ? Buffer.concat([prefix, Buffer.from('/'), name]) : name,
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: number(block, 124, 12),
    mtime: number(block, 136, 12),
    link: untilNul(block.subarray(157, 257)),
    major: number(block, 329, 8),
    minor: number(block, 337, 8),
  };
}

function withPax(header: Omit<TarHeader, 'type'>, flagged: TarType, pax: ReadonlyMap<string, Buffer>): TarHeader {
  const decimal = (key: string, other: number): number => {
    const text = pax.get(key)?.toString('latin1');
    if (text === undefined || text === '') return other;
    if (!/^-?\d+(\.\d*)?$/.test(text)) throw corrupt(`${key} is no number`);
    return Math.floor(Number(text));
  };
  if ([...pax.keys()].some((key) => key.startsWith('GNU.sparse.'))) throw corrupt('it has a sparse file');
  const text = (key: string): Buffer | undefined => (pax.get(key)?.length === 0 ? undefined : pax.get(key));
  const name = text('path') ?? header.name;
  // Before POSIX, a slash at the end made a directory.
  const type = flagged === 'file' && name.at(-1) === 0x2f ? 'dir' : flagged;
  const xattrs = [...pax].filter(([key]) => key.startsWith(XATTR_PREFIX));
  return {
    ...header,
    name,
    type,
    link: text('linkpath') ?? header.link,
    uid: decimal('uid', header.uid),
    gid: decimal('gid', header.gid),
    mtime: decimal('mtime', header.mtime),
    size: type === 'file' ? decimal('size', header.size) : 0,
    xattrs: new Map(xattrs.map(([key, value]) => [key.slice(XATTR_PREFIX.length), value])),
  };
}

function parsePax(body: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < body.length; ) {
    const blank = body.indexOf(0x20, at);
    const length = Number(body.toString('latin1', at, blank === -1 ? at : blank));
    const equals = body.indexOf(0x3d, blank);
    const end = at + length;
    if (!Number.isInteger(length) || length < 5 || end > body.length || equals === -1 || equals >= end) {
      throw corrupt('a PAX record is broken');
    }
    records.set(body.toString('utf8', blank + 1, equals), Buffer.from(body.subarray(equals + 1, end - 1)));
    at = end;
  }
  return records;
}

/** Octal text, or GNU's base 256 where the first bit is set. */
function number(block: Buffer, at: number, size: number): number {
  const field = block.subarray(at, at + size);
  const lead = field[0] ?? 0;
  if ((lead & 0x80) !== 0) {
    let value = (lead & 0x40) !== 0 ? lead | ~0xff : lead & 0x3f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    if (!Number.isSafeInteger(value)) throw corrupt('a number in a header is too large');
    return value;
  }
  const text = untilNul(field).toString('latin1').trim();
  if (!/^[0-7]*$/.test(text)) throw corrupt('a header has something else than a number');
  return text === '' ? 0 : Number.parseInt(text, 8);
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end));
}

function corrupt(why: string): KilnError {
  return new KilnError('BLOB_CORRUPT', `the tar cannot be read: ${why}`);
}

import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type Bytes, isKilnError, KilnError, messageOf } from '#std';

const formats: readonly { readonly name: string; readonly magic: Buffer; readonly create: () => Transform }[] = [
  { name: 'gzip', magic: Buffer.of(0x1f, 0x8b), create: () => createGunzip() },
  { name: 'zstd', magic: Buffer.of(0x28, 0xb5, 0x2f, 0xfd), create: () => createZstdDecompress() },
];
/** What people send, and nobody reads here: the name of a file in a plain archive is never so. */
const foreign: readonly { readonly name: string; readonly magic: Buffer; readonly at: number }[] = [
  { name: 'xz', magic: Buffer.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0), at: 0 },
  // Behind BZh and a digit.
  { name: 'bzip2', magic: Buffer.from('1AY&SY'), at: 4 },
  { name: 'zip', magic: Buffer.from('PK\x03\x04'), at: 0 },
];
const MAGIC_BYTES = 10;

/** The stream again, behind its first bytes. */
async function* resume(first: Buffer, rest: AsyncIterator<Uint8Array>): Bytes {
  try {
    if (first.length > 0) yield first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

function refuseForeign(head: Buffer): void {
  const found = foreign.find(({ magic, at }) => head.subarray(at, at + magic.length).equals(magic));
  if (found === undefined) return;
  throw new KilnError('CONTEXT_INVALID', `the context is compressed by ${found.name}`, {
    hint: 'send a tar plain, or compressed by gzip or zstd',
  });
}

/**
 * The bytes behind gzip or zstd, told by their first bytes; anything else as it is.
 * @throws KilnError CONTEXT_INVALID when the compressed stream is damaged or cut off, or of another kind
 */
export async function* decompress(source: Bytes): Bytes {
  const stream = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  for (let next = await stream.next(); next.done !== true; next = await stream.next()) {
    head = Buffer.concat([head, next.value]);
    if (head.length >= MAGIC_BYTES) break;
  }
  const raw = resume(head, stream);
  const format = formats.find(({ magic }) => head.subarray(0, magic.length).equals(magic));
  if (format === undefined) {
    refuseForeign(head);
    yield* raw;
    return;
  }
  // What goes wrong with the source itself must not read as damage of the archive.
  let failure: { readonly thrown: unknown } | undefined;
  const watched = async function* (): Bytes {
    try {
      yield* raw;
    } catch (thrown) {
      failure = { thrown };
      throw thrown;
    }
  };
  const plain = pipeline(Readable.from(watched()), format.create(), () => {});
  try {
    for await (const chunk of plain) yield chunk as Uint8Array;
  } catch (cause) {
    if (failure !== undefined) throw failure.thrown;
    if (isKilnError(cause)) throw cause;
    throw new KilnError(
      'CONTEXT_INVALID',
      `the context's ${format.name} stream is damaged or cut off: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}

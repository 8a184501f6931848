import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type Bytes, isKilnError, KilnError, messageOf } from '#std';

const formats: readonly { readonly name: string; readonly magic: Buffer; readonly create: () => Transform }[] = [
  { name: 'gzip', magic: Buffer.of(0x1f, 0x8b), create: () => createGunzip() },
  { name: 'zstd', magic: Buffer.of(0x28, 0xb5, 0x2f, 0xfd), create: () => createZstdDecompress() },
];
const MAGIC_BYTES = 4;

/** The stream again, behind its first bytes. */
async function* resume(first: Buffer, rest: AsyncIterator<Uint8Array>): Bytes {
  try {
    if (first.length > 0) yield first;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/**
 * The bytes behind gzip or zstd, told by their first bytes; anything else as it is.
 * @throws KilnError CONTEXT_INVALID when the compressed stream is damaged or cut off
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

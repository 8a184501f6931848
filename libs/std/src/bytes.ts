import { Readable } from 'node:stream';
import { KilnError } from './errors.ts';

/** A stream of bytes; read once. */
export type Bytes = AsyncIterable<Uint8Array>;

/**
 * All of a stream that is known to be small.
 * @throws KilnError LIMIT_EXCEEDED when it is longer than `limitBytes`
 */
export async function collect(source: Bytes, limitBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    size += chunk.byteLength;
    if (size > limitBytes) throw new KilnError('LIMIT_EXCEEDED', `longer than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Frees a source that will not be read: a file stream that nobody began to iterate stays open for ever. */
export async function release(source: Bytes): Promise<void> {
  if (source instanceof Readable) source.destroy();
  else await source[Symbol.asyncIterator]().return?.();
}

/** A stream of one chunk. */
export async function* single(chunk: Uint8Array | string): Bytes {
  yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

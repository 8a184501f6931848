import { Readable } from 'node:stream';

/** A stream of bytes or text as Node's; the client's leaving ends the source. */
export function readable(source: AsyncIterable<Uint8Array | string>): Readable {
  return Readable.from(source, { objectMode: false, highWaterMark: 64 * 1024 });
}

import { type Bytes, KilnError } from '#std';

/** Of an archive as it is sent: what cannot be compressed grows a little. */
const mostOf = (maxBytes: number): number => maxBytes + maxBytes / 64 + 1024 * 1024;

/** @throws KilnError LIMIT_EXCEEDED before anything is read */
export function checkLength(sizeBytes: number, maxBytes: number): void {
  if (sizeBytes <= mostOf(maxBytes)) return;
  throw new KilnError('LIMIT_EXCEEDED', `the context is larger than ${maxBytes} bytes`, { field: 'context' });
}

/** However little an archive unpacks to, no more than what it may unpack to is read. */
export async function* bounded(source: Bytes, maxBytes: number): Bytes {
  let seen = 0;
  for await (const chunk of source) {
    seen += chunk.byteLength;
    checkLength(seen, maxBytes);
    yield chunk;
  }
}

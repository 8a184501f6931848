import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { type Digest, Hasher } from '#oci';
import type { Bytes } from '#std';
import { filledParts } from './sparse-file.ts';

/** Makes a new file of a stream's bytes, with holes where it is zero. @throws EEXIST when something is there, a link included */
export async function writeFileFrom(body: Bytes, path: string | Buffer): Promise<Digest> {
  const hasher = new Hasher();
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    let size = 0;
    for await (const chunk of body) {
      hasher.update(chunk);
      for (const { from, to } of filledParts(chunk)) {
        for (let at = from; at < to; ) at += writeSync(file, chunk, at, to - at, size + at);
      }
      size += chunk.byteLength;
    }
    ftruncateSync(file, size);
  } finally {
    closeSync(file);
  }
  return hasher.digest();
}

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { type Digest, Hasher } from '#oci';
import type { Bytes } from '#std';

/** Makes a new file of a stream's bytes. @throws EEXIST when something is there, a link included */
export async function writeFileFrom(body: Bytes, path: string | Buffer): Promise<Digest> {
  const hasher = new Hasher();
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    for await (const chunk of body) {
      hasher.update(chunk);
      for (let at = 0; at < chunk.byteLength; ) at += writeSync(file, chunk, at, chunk.byteLength - at);
    }
  } finally {
    closeSync(file);
  }
  return hasher.digest();
}

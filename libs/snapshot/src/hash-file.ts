import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { type Digest, parseDigest } from '#oci';

const piece = Buffer.allocUnsafeSlow(256 * 1024);

/** The digest of a file's bytes; blocks meanwhile. `check` is called for every 256 KiB and throws to stop. */
export function hashFile(path: string | Buffer, check?: () => void): Digest {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  try {
    for (let read = readSync(file, piece); read > 0; read = readSync(file, piece)) {
      check?.();
      hash.update(piece.subarray(0, read));
    }
  } finally {
    closeSync(file);
  }
  return parseDigest(`sha256:${hash.digest('hex')}`);
}

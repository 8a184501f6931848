import type { Digest } from '#oci';
import { KilnError } from '#std';

/** @throws KilnError BLOB_CORRUPT */
export function checkExpected(found: Digest, expected: Digest | undefined): void {
  if (expected === undefined || found === expected) return;
  throw new KilnError('BLOB_CORRUPT', `expected ${expected}, but the bytes are those of ${found}`);
}

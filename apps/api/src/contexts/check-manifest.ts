import type { ContextManifest } from '#context';
import type { Digest } from '#oci';
import { KilnError } from '#std';

export const MAX_PATH_BYTES = 4_096;
/** A manifest is held in memory: a line has some 200 bytes. */
export const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

/**
 * The contents that a manifest's files claim to have, with their sizes.
 * @throws KilnError CONTEXT_INVALID for two sizes of one content, LIMIT_EXCEEDED
 */
export function claimedFiles({ entries }: ContextManifest, maxBytes: number): ReadonlyMap<Digest, number> {
  const sizes = new Map<Digest, number>();
  let total = 0;
  for (const { path, link = '', digest, size = 0 } of entries) {
    if (Buffer.byteLength(path) > MAX_PATH_BYTES || Buffer.byteLength(link) > MAX_PATH_BYTES)
      throw new KilnError('LIMIT_EXCEEDED', `a name in the context is longer than ${MAX_PATH_BYTES} bytes`);
    if (digest === undefined) continue;
    if ((sizes.get(digest) ?? size) !== size)
      throw new KilnError('CONTEXT_INVALID', `the context says two sizes of ${digest}`);
    sizes.set(digest, size);
    total += size;
    if (total > maxBytes)
      throw new KilnError('LIMIT_EXCEEDED', `the context is larger than ${maxBytes} bytes`, {
        field: 'context',
        hint: 'leave out with .dockerignore what the build does not need (.git, node_modules, build output)',
      });
  }
  return sizes;
}

import type { Digest } from '#oci';
import { collect, KilnError, messageOf } from '#std';
import type { z } from 'zod';
import type { ContentStore } from './store.ts';

/**
 * A small JSON blob, checked.
 * @throws KilnError BLOB_MISSING, BLOB_CORRUPT, LIMIT_EXCEEDED; INVALID_ARGUMENT when it is not of the schema
 */
export async function readJson<T>(
  store: ContentStore,
  digest: Digest,
  schema: z.ZodType<T>,
  limitBytes: number,
  signal?: AbortSignal,
): Promise<T> {
  const bytes = await collect(store.get(digest, signal), limitBytes);
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new KilnError('INVALID_ARGUMENT', `blob ${digest} does not hold what is expected: ${messageOf(cause)}`, {
      cause,
    });
  }
}

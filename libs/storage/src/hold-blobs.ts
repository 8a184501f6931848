import { z } from 'zod';
import { type Digest, DigestSchema } from '#oci';
import type { Sql } from './database.ts';

/** How far behind the last use of a blob may be noted: hits of every build are not written down. */
export const TOUCH_MS = 10 * 60_000;

const Held = z.object({ digest: DigestSchema, removed: z.boolean(), stale: z.boolean() });

/**
 * Keeps the collector from these blobs until the transaction ends, and brings those back that it had taken out of use.
 * @returns those: unless somebody put them since, their bytes are gone, or have been removed after they were put
 */
export async function holdBlobs(sql: Sql, digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
  const held = await sql.query(
    Held,
    `SELECT digest, removed_at IS NOT NULL AS removed, used_at < now() - $2 * interval '1 millisecond' AS stale
     FROM blobs WHERE digest = ANY ($1::text[]) ORDER BY digest FOR KEY SHARE`,
    [digests, TOUCH_MS],
  );
  const changed = held.filter(({ removed, stale }) => removed || stale).map(({ digest }) => digest);
  if (changed.length > 0) {
    await sql.execute(
      `UPDATE blobs b SET used_at = now(), check_at = CASE WHEN b.removed_at IS NULL THEN b.check_at ELSE now() END,
         removed_at = NULL, gone_at = NULL
       FROM (SELECT digest FROM blobs WHERE digest = ANY ($1::text[]) ORDER BY digest FOR NO KEY UPDATE) o
       WHERE b.digest = o.digest`,
      [changed],
    );
  }
  return new Set(held.filter(({ removed }) => removed).map(({ digest }) => digest));
}

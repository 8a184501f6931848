import { z } from 'zod';
import type { BuildLedger } from './build-ledger.ts';
import { bigintColumn, type Database } from './database.ts';

/**
 * Numbers that the farm of before may have given after the backup: far more than it can have, and so few that thousands of
 * restores stay within what is counted exactly. As many again by chance: what is brought back twice from one backup is two
 * farms, of which one must not know the other's by its numbers.
 */
const leap = (least: number): string => `${least} + pg_catalog.floor(pg_catalog.random() * ${least})::bigint`;
const LEAP = leap(2 ** 40);
const MOUNT_LEAP = leap(1_000_000);

/**
 * What belongs to the transaction that brings a dump back, of any version: a claim of the farm of before is worth nothing, and
 * no number is given twice that a builder or Redis may know by. Redis keeps bodies of results by their versions.
 */
export const voidClaims = `
SELECT pg_catalog.setval('public.build_fences', (SELECT last_value FROM public.build_fences) + ${LEAP});
SELECT pg_catalog.setval('public.record_versions', (SELECT last_value FROM public.record_versions) + ${LEAP});
SELECT pg_catalog.setval('public.results_version_seq', (SELECT last_value FROM public.results_version_seq) + ${LEAP});
UPDATE public.builds SET fence = pg_catalog.nextval('public.build_fences') WHERE state IN ('queued', 'running');
DO $$ BEGIN
  IF pg_catalog.to_regclass('public.cache_mounts') IS NOT NULL THEN
    EXECUTE 'UPDATE public.cache_mounts SET last_version = last_version + ${MOUNT_LEAP}';
  END IF;
END $$;
`;

const Held = z.object({ id: z.string(), fence: bigintColumn });
const BATCH = 500;
const PATIENCE_MS = 3_600_000;

/** What lasts for a time lasts as if no time had passed since the backup. */
const lasting = [
  ['blobs', ['used_at', 'kept_at', 'check_at']],
  ['results', ['used_at']],
  ['images', ['used_at']],
  ['cache_mount_versions', ['used_at']],
  ['sent_blobs', ['sent_at']],
] as const;

export interface RestoredFarm {
  readonly db: Database;
  readonly ledger: BuildLedger;
  /** since the backup */
  readonly passedMs: number;
}

/** Readies what was brought back for builders of now. @returns how many builds go back into the queue */
export async function settleRestored({ db, ledger, passedMs }: RestoredFarm): Promise<number> {
  await db.transaction(async (sql) => {
    await sql.execute("UPDATE builders SET state = 'stopped'");
    // What was to go has not come.
    await sql.execute('UPDATE blobs SET gone_at = now() WHERE removed_at IS NOT NULL AND gone_at IS NULL');
    for (const [table, columns] of lasting) {
      const later = columns.map((column) => `${column} = ${column} + $1 * interval '1 millisecond'`);
      await sql.execute(`UPDATE ${table} SET ${later.join(', ')}`, [Math.max(0, passedMs)]);
    }
  }, PATIENCE_MS);
  let givenBack = 0;
  for (;;) {
    const held = await db.query(Held, `SELECT id, fence FROM builds WHERE state = 'running' LIMIT ${BATCH}`);
    for (const { id, fence } of held) await ledger.release({ buildId: id, fence });
    givenBack += held.length;
    if (held.length < BATCH) return givenBack;
  }
}

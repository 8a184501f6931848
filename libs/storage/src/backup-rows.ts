import type { BlobInfo } from '#content';
import { z } from 'zod';
import type { Database, Sql } from './database.ts';
import { INDEX, indexedBlobs, ordered } from './fsck/walk-blobs.ts';
import { migrations } from './migrations/index.ts';

const Snapshot = z.object({ id: z.string() });
const PATIENCE_MS = 6 * 3_600_000;

/** One state of the database, as long as `work` takes: `id` is what pg_dump calls it. */
export async function withSnapshot<T>(db: Database, work: (sql: Sql, id: string) => Promise<T>): Promise<T> {
  return await db.transaction(async (sql) => {
    await sql.execute('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // It waits while the dump is written.
    await sql.execute('SET LOCAL idle_in_transaction_session_timeout = 0');
    const [snapshot] = await sql.query(Snapshot, 'SELECT pg_export_snapshot() AS id');
    return await work(sql, snapshot?.id ?? '');
  }, PATIENCE_MS);
}

/** Blobs that the farm has and is to keep, in the order of their digests: a backup removes what its list passes by. */
export async function* blobsInUse(sql: Sql, signal?: AbortSignal): AsyncIterable<BlobInfo> {
  for await (const { digest, sizeBytes, inUse } of ordered(indexedBlobs(sql, signal), INDEX))
    if (inUse) yield { digest, sizeBytes };
}

/** Number of the newest migration that this version knows. */
export const newestMigration = (): number => migrations.at(-1)?.number ?? 0;

const Count = z.object({ count: z.int() });

/** Whether nobody has put anything into the database. */
export async function isEmptyDatabase(db: Database): Promise<boolean> {
  const [row] = await db.query(
    Count,
    "SELECT count(*)::int AS count FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S', 'v', 'm')",
  );
  return row?.count === 0;
}

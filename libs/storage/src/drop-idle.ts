import { z } from 'zod';
import type { Sql } from './database.ts';
import { bigintColumn } from './database.ts';

const ROWS = 1_000;

const tables = [
  ['layer_variants', 'digest'],
  ['fetched_files', 'digest'],
  ['fetched_trees', 'manifest_digest'],
  ['layer_deltas', 'digest'],
] as const;

/** Rows of `t`, whose blob is in `column`, that no build asked for in `$2` milliseconds: of project `$1`, or of all. */
const idle = (table: string, column: string): string =>
  `FROM ${table} t JOIN blobs b ON b.digest = t.${column}
   WHERE ($1::text IS NULL OR t.project_id = $1) AND b.used_at <= now() - $2 * interval '1 millisecond'
     AND NOT EXISTS (SELECT FROM blob_pins p JOIN builds c ON c.id = p.build_id AND c.fence = p.fence
                     AND c.state = 'running' WHERE p.digest = b.digest)`;

/** Forgets layers in other forms, fetched files, versions of cache mounts and deltas of base layers: they are made again when they are asked for. */
export async function dropIdle(sql: Sql, projectId: string | null, idleMs: number): Promise<number> {
  let dropped = 0;
  for (const [table, column] of tables) {
    dropped += await sql.execute(
      `WITH dropped AS (
         DELETE FROM ${table} WHERE ctid = ANY (ARRAY(SELECT t.ctid ${idle(table, column)} LIMIT ${ROWS}))
         RETURNING ${column} AS digest),
       noted AS (
         UPDATE blobs b SET check_at = least(b.check_at, now())
         FROM (SELECT digest FROM blobs WHERE digest IN (SELECT digest FROM dropped) ORDER BY digest FOR NO KEY UPDATE) o
         WHERE b.digest = o.digest)
       SELECT FROM dropped`,
      [projectId, idleMs],
    );
  }
  return dropped + (await dropIdleMounts(sql, projectId, idleMs));
}

const idleMounts = `FROM cache_mount_versions
  WHERE ($1::text IS NULL OR project_id = $1) AND used_at <= now() - $2 * interval '1 millisecond'`;

/** Versions of cache mounts that no build made or began with: those who come later begin with nothing. */
async function dropIdleMounts(sql: Sql, projectId: string | null, idleMs: number): Promise<number> {
  return await sql.execute(
    `WITH dropped AS (
       DELETE FROM cache_mount_versions WHERE ctid = ANY (ARRAY(SELECT ctid ${idleMounts} LIMIT ${ROWS})) RETURNING blobs),
     noted AS (
       UPDATE blobs b SET check_at = least(b.check_at, now())
       FROM (SELECT digest FROM blobs WHERE digest IN (SELECT unnest(blobs) FROM dropped) ORDER BY digest FOR NO KEY UPDATE) o
       WHERE b.digest = o.digest)
     SELECT FROM dropped`,
    [projectId, idleMs],
  );
}

const Count = z.object({ count: bigintColumn });

/** How many {@link dropIdle} would forget. */
export async function idleOthers(sql: Sql, projectId: string | null, idleMs: number): Promise<number> {
  let all = 0;
  for (const [table, column] of tables) {
    const [row] = await sql.query(Count, `SELECT count(*)::text AS count ${idle(table, column)}`, [projectId, idleMs]);
    all += row?.count ?? 0;
  }
  const [mounts] = await sql.query(Count, `SELECT count(*)::text AS count ${idleMounts}`, [projectId, idleMs]);
  return all + (mounts?.count ?? 0);
}

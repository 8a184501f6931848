import { type Digest, DigestSchema } from '#oci';
import { z } from 'zod';
import { bigintColumn, type Sql } from './database.ts';

const Total = z.object({ bytes: bigintColumn });
const SWEPT = 1_000;

/** Sizes that have just gone, off the totals of their projects. */
const offTotals = `UPDATE sent_totals t SET bytes = t.bytes - s.bytes
  FROM (SELECT project_id, sum(size_bytes) AS bytes FROM gone GROUP BY project_id) s WHERE t.project_id = s.project_id`;

/** Bytes of blobs that clients of a project sent within the time for which they are kept. */
export async function sentBytes(sql: Sql, projectId: string): Promise<number> {
  const [row] = await sql.query(Total, 'SELECT bytes FROM sent_totals WHERE project_id = $1', [projectId]);
  return row?.bytes ?? 0;
}

/** Those of these that clients of a project sent within that time. */
export async function sentOf(sql: Sql, projectId: string, digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
  const rows = await sql.query(
    z.object({ digest: DigestSchema }),
    'SELECT digest FROM sent_blobs WHERE project_id = $1 AND digest = ANY ($2::text[])',
    [projectId, digests],
  );
  return new Set(rows.map(({ digest }) => digest));
}

interface Sent {
  readonly projectId: string;
  /** in their order */
  readonly digests: readonly Digest[];
  readonly sizes: readonly number[];
  /** how far behind the time may be noted */
  readonly touchMs: number;
}

/** Notes that a project has sent blobs. The total is written last: who holds it waits for nothing more. */
export async function noteSent(sql: Sql, { projectId, digests, sizes, touchMs }: Sent): Promise<void> {
  await sql.execute(
    `WITH noted AS (
       INSERT INTO sent_blobs AS s (project_id, digest, size_bytes)
       SELECT $1, digest, size_bytes FROM unnest($2::text[], $3::bigint[]) AS g (digest, size_bytes)
       WHERE NOT EXISTS (SELECT FROM sent_blobs o WHERE o.project_id = $1 AND o.digest = g.digest
         AND o.sent_at >= now() - $4 * interval '1 millisecond')
       ORDER BY digest
       ON CONFLICT (project_id, digest) DO UPDATE SET sent_at = now()
       WHERE s.sent_at < now() - $4 * interval '1 millisecond'
       RETURNING size_bytes, xmax = 0 AS is_new)
     INSERT INTO sent_totals AS t (project_id, bytes)
     SELECT $1, sum(size_bytes) FROM noted WHERE is_new HAVING count(*) > 0
     ON CONFLICT (project_id) DO UPDATE SET bytes = t.bytes + excluded.bytes`,
    [projectId, digests, sizes, touchMs],
  );
}

/** Of blobs that are the projects' no more. */
export async function dropSent(sql: Sql, digests: readonly Digest[]): Promise<void> {
  await sql.execute(
    `WITH gone AS (
       DELETE FROM sent_blobs s USING (
         SELECT o.project_id, o.digest FROM sent_blobs o JOIN blobs b USING (digest)
         WHERE b.removed_at IS NOT NULL AND b.digest = ANY ($1::text[]) ORDER BY o.digest, o.project_id FOR UPDATE OF o) d
       WHERE s.project_id = d.project_id AND s.digest = d.digest
       RETURNING s.project_id, s.size_bytes) ${offTotals}`,
    [digests],
  );
}

/** Forgets what was sent too long ago to be kept for that alone, whoever else keeps it. @returns how many */
export async function sweepSent(sql: Sql, keptMs: number): Promise<number> {
  const [row] = await sql.query(
    z.object({ count: bigintColumn }),
    `WITH gone AS (
       DELETE FROM sent_blobs WHERE (project_id, digest) IN (
         SELECT project_id, digest FROM sent_blobs WHERE sent_at < now() - $1 * interval '1 millisecond'
         ORDER BY sent_at LIMIT ${SWEPT} FOR UPDATE SKIP LOCKED)
       RETURNING project_id, size_bytes),
     written AS (${offTotals})
     SELECT count(*) AS count FROM gone`,
    [keptMs],
  );
  return row?.count ?? 0;
}

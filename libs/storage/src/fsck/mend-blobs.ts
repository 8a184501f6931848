import { type ContentStore } from '#content';
import { type Digest, DigestSchema } from '#oci';
import { single } from '#std';
import { z } from 'zod';
import { encodeArchive } from '../archive-format.ts';
import { BlobIndex } from '../blob-index.ts';
import { buryResults } from '../bury-results.ts';
import { COLLECTOR_LOCK } from '../collector-lock.ts';
import { bigintColumn, type Database, type Sql } from '../database.ts';
import { freeBlobs, keyColumns } from '../free-image.ts';
import { dropSent } from '../sent-blobs.ts';
import { isDelta, isPlaced } from './references.ts';

const RESULTS = 500;
const ARCHIVES = 100;
const PATIENCE_MS = 600_000;

const Doomed = z.object({ version: z.string(), project_id: z.string() });
const Archive = z.object({
  project_id: z.string(),
  build_id: z.string(),
  first_seq: bigintColumn,
  last_seq: bigintColumn,
  digest: DigestSchema,
});
const Image = z.object({ project_id: z.string(), scope_id: z.string(), digest: z.string() });

/** Work on the index while the collector frees nothing. */
async function besideCollector<T>(db: Database, work: (sql: Sql) => Promise<T>): Promise<T> {
  return await db.transaction(async (sql) => {
    await sql.execute('SELECT pg_advisory_xact_lock($1)', [COLLECTOR_LOCK]);
    return await work(sql);
  }, PATIENCE_MS);
}

/**
 * Makes everything unfindable that needs blobs whose bytes are lost, so that it is made again. Results, then blobs, then
 * images are locked, as everywhere.
 */
export async function mendLost(db: Database, content: ContentStore, digests: readonly Digest[]): Promise<void> {
  const lost = [...(await content.findMissing(new Set(digests)))].sort();
  if (lost.length === 0) return;
  while ((await besideCollector(db, (sql) => buryLost(sql, lost))) === RESULTS);
  while ((await replaceArchives(db, content, lost)) === ARCHIVES);
  await besideCollector(db, async (sql) => {
    await sql.execute('SELECT FROM blobs WHERE digest = ANY ($1::text[]) ORDER BY digest FOR UPDATE', [lost]);
    // Whoever has put one by now waits for its row, or has it in use again.
    const still = [...(await content.findMissing(new Set(lost)))].sort();
    await dropReferences(sql, still);
    await sql.execute(
      'UPDATE blobs SET removed_at = coalesce(removed_at, now()), gone_at = coalesce(gone_at, now()) WHERE digest = ANY ($1::text[])',
      [still],
    );
    await dropSent(sql, still);
  });
}

async function buryLost(sql: Sql, lost: readonly Digest[]): Promise<number> {
  const doomed = await sql.query(
    Doomed,
    `SELECT version::text, project_id FROM results r WHERE r.blobs && $1::text[] AND EXISTS (
       SELECT FROM unnest(r.blobs) AS d (digest) WHERE d.digest = ANY ($1::text[]) AND NOT ${isPlaced('r.project_id')})
     ORDER BY r.version LIMIT ${RESULTS} FOR UPDATE`,
    [lost],
  );
  for (const [projectId, rows] of Map.groupBy(doomed, (row) => row.project_id))
    await buryResults(sql, projectId, { versions: rows.map(({ version }) => version), reason: 'lost' });
  return doomed.length;
}

/** A log says what it has lost, as its readers would. @returns how many archives were lost */
async function replaceArchives(db: Database, content: ContentStore, lost: readonly Digest[]): Promise<number> {
  const archives = await db.query(
    Archive,
    `SELECT project_id, build_id, first_seq, last_seq, digest FROM event_archives WHERE digest = ANY ($1::text[])
     ORDER BY build_id, first_seq LIMIT ${ARCHIVES}`,
    [lost],
  );
  const blobs = new BlobIndex(db);
  for (const { project_id: projectId, build_id: buildId, first_seq: first, last_seq: last, digest } of archives) {
    const message = `the events ${first} to ${last} of this build have been lost`;
    const bytes = await encodeArchive([{ seq: last, payload: JSON.stringify({ type: 'warning', atMs: 0, message }) }]);
    const blob = await content.put(single(bytes));
    await blobs.grant(projectId, [blob]);
    await db.execute(
      `UPDATE event_archives SET digest = $4, size_bytes = $5 WHERE build_id = $1 AND first_seq = $2 AND digest = $3`,
      [buildId, first, digest, blob.digest, blob.sizeBytes],
    );
  }
  return archives.length;
}

/** All others: what is made again when it is asked for, images, and that projects have them. */
async function dropReferences(sql: Sql, lost: readonly Digest[]): Promise<void> {
  const images = await sql.query(
    Image,
    `SELECT DISTINCT m.project_id, m.scope_id, m.digest FROM unnest($1::text[]) AS d (digest)
     JOIN image_blobs i ON i.blob = d.digest AND i.kept
     JOIN images m ON m.project_id = i.project_id AND m.scope_id = i.scope_id AND m.digest = i.digest WHERE NOT ${isDelta}`,
    [lost],
  );
  const keys = images.map((row) => ({ projectId: row.project_id, scopeId: row.scope_id, digest: row.digest }));
  await freeBlobs(sql, keys);
  await sql.execute(
    `DELETE FROM images i USING unnest($1::text[], $2::text[], $3::text[]) AS g (project_id, scope_id, digest)
     WHERE i.project_id = g.project_id AND i.scope_id = g.scope_id AND i.digest = g.digest`,
    keyColumns(keys),
  );
  for (const condition of [
    'cache_mount_versions WHERE blobs && $1::text[]',
    'layer_variants WHERE digest = ANY ($1::text[])',
    'layer_deltas WHERE digest = ANY ($1::text[])',
    'fetched_files WHERE digest = ANY ($1::text[])',
    'fetched_trees WHERE manifest_digest = ANY ($1::text[])',
    // Contexts go with the grants of their manifests.
    'grants WHERE digest = ANY ($1::text[])',
  ])
    await sql.execute(`DELETE FROM ${condition}`, [lost]);
}

/** Blobs that are there, with the sizes that they have. */
type Sized = readonly { readonly digest: Digest; readonly sizeBytes: number }[];

const columns = (blobs: Sized) => [blobs.map(({ digest }) => digest), blobs.map(({ sizeBytes }) => sizeBytes)];
const byDigest = (blobs: Sized): Sized => blobs.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));

/** Makes blobs known, and in use: the collector looks at them once they are as old as `graceMs`, and frees what nothing needs in its two steps. */
export async function mendUnindexed(db: Database, blobs: Sized, graceMs: number): Promise<void> {
  await besideCollector(db, (sql) =>
    sql.execute(
      `INSERT INTO blobs AS b (digest, size_bytes, check_at)
       SELECT digest, size_bytes, now() + $3 * interval '1 millisecond'
       FROM unnest($1::text[], $2::bigint[]) AS g (digest, size_bytes) ORDER BY digest
       ON CONFLICT (digest) DO UPDATE SET size_bytes = excluded.size_bytes, removed_at = NULL, gone_at = NULL, used_at = now(),
         check_at = excluded.check_at WHERE b.removed_at IS NOT NULL`,
      [...columns(byDigest(blobs)), graceMs],
    ),
  );
}

export async function mendSizes(db: Database, blobs: Sized): Promise<void> {
  await besideCollector(db, (sql) =>
    sql.execute(
      `UPDATE blobs b SET size_bytes = o.size_bytes
       FROM (SELECT b.digest, g.size_bytes FROM blobs b JOIN unnest($1::text[], $2::bigint[]) AS g (digest, size_bytes) USING (digest)
             ORDER BY b.digest FOR NO KEY UPDATE OF b) o WHERE b.digest = o.digest`,
      columns(byDigest(blobs)),
    ),
  );
}

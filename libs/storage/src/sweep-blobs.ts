import type { ContentStore } from '#content';
import { type Digest, DigestSchema } from '#oci';
import { z } from 'zod';
import { KEPT_TOUCH_MS } from './blob-index.ts';
import type { Database, Sql } from './database.ts';
import { dropSent, sweepSent } from './sent-blobs.ts';

export interface SweepLimits {
  /** how long a blob is left alone after its last use, and once more before its bytes go */
  readonly graceMs: number;
  /** how long what clients sent, and what they may fetch, is kept */
  readonly retentionMs: number;
}

/** In this order everything of a blob ends: nothing refers to it; its row says so; its bytes. A crash costs the rest of a batch. */
export class BlobSweep {
  readonly #content: ContentStore;
  readonly #limits: SweepLimits;

  constructor(content: ContentStore, limits: SweepLimits) {
    this.#content = content;
    this.#limits = limits;
  }

  /** Looks at blobs whose time has come, and takes those out of use that nothing needs. @returns how many were looked at */
  async check(sql: Sql): Promise<number> {
    const due = await digests(
      sql,
      `SELECT digest FROM blobs WHERE removed_at IS NULL AND check_at <= now()
       ORDER BY check_at LIMIT ${CHECKED} FOR UPDATE SKIP LOCKED`,
    );
    if (due.length === 0) return 0;
    // A later statement than that which locks: a build that held a blob until then has pinned it by now.
    await sql.execute(
      `WITH needs AS (${NEEDS}), seen AS (
         SELECT b.digest, ${NEEDED} AS needed, ${PINNED} AS pinned,
           greatest(b.used_at + $2 * interval '1 millisecond', b.kept_at + $3 * interval '1 millisecond') AS until,
           EXISTS (SELECT FROM grants g JOIN needs n ON n.project_id = g.project_id
             WHERE g.digest = b.digest AND b.kept_at >= n.since - $3 * interval '1 millisecond') AS kept
         FROM blobs b WHERE b.digest = ANY ($1::text[]))
       UPDATE blobs b SET
         check_at = CASE WHEN s.needed THEN now() + interval '1 day' ELSE greatest(s.until, now() + interval '1 minute') END,
         removed_at = CASE WHEN s.needed OR s.pinned OR s.kept OR s.until > now() THEN NULL ELSE now() END
       FROM seen s WHERE b.digest = s.digest`,
      [due, this.#limits.graceMs, this.#limits.retentionMs + KEPT_TOUCH_MS],
    );
    await sql.execute(
      `DELETE FROM grants g USING blobs b WHERE g.digest = b.digest AND b.removed_at IS NOT NULL AND b.digest = ANY ($1::text[])`,
      [due],
    );
    await dropSent(sql, due);
    return due.length;
  }

  /** Lets what clients sent long ago count for their projects no more. @returns how many */
  async forgetSent(sql: Sql): Promise<number> {
    return await sweepSent(sql, this.#limits.retentionMs + KEPT_TOUCH_MS);
  }

  /** Removes bytes of blobs that have been out of use for long enough. @returns how many */
  async remove(sql: Sql, signal?: AbortSignal): Promise<number> {
    // Held while the bytes go: who wants the blob back waits, and then knows that they went.
    const due = await digests(
      sql,
      `SELECT digest FROM blobs WHERE gone_at IS NULL AND removed_at < now() - ${this.#limits.graceMs} * interval '1 millisecond'
       ORDER BY removed_at LIMIT ${REMOVED} FOR UPDATE SKIP LOCKED`,
    );
    if (due.length === 0) return 0;
    await this.#content.remove(new Set(due), signal);
    await sql.execute('UPDATE blobs SET gone_at = now() WHERE digest = ANY ($1::text[])', [due]);
    return due.length;
  }

  /** Forgets blobs that went so long ago that nobody can be at putting them since then. */
  async forget(sql: Sql): Promise<number> {
    return await sql.execute(
      `DELETE FROM blobs WHERE digest IN (
         SELECT b.digest FROM blobs b WHERE b.gone_at < now() - interval '1 day'
           AND NOT EXISTS (SELECT FROM grants g WHERE g.digest = b.digest)
           AND NOT EXISTS (SELECT FROM event_archives e WHERE e.digest = b.digest)
         LIMIT ${CHECKED} FOR UPDATE SKIP LOCKED)`,
    );
  }

  /** Makes blobs known that are in the content store alone: of builds that failed, of processes that died. */
  async adopt(db: Database, signal?: AbortSignal): Promise<number> {
    let adopted = 0;
    let batch: { digest: Digest; sizeBytes: number }[] = [];
    const flush = async (): Promise<void> => {
      batch.sort((a, b) => (a.digest < b.digest ? -1 : 1));
      adopted += await db.execute(
        // As long as a put may be on its way to be recorded.
        `INSERT INTO blobs (digest, size_bytes, check_at)
         SELECT digest, size_bytes, now() + interval '1 day' FROM unnest($1::text[], $2::bigint[]) AS g (digest, size_bytes)
         ON CONFLICT (digest) DO UPDATE SET removed_at = NULL, gone_at = NULL, check_at = excluded.check_at
         WHERE blobs.gone_at IS NOT NULL`,
        [batch.map(({ digest }) => digest), batch.map(({ sizeBytes }) => sizeBytes)],
      );
      batch = [];
    };
    for await (const blob of this.#content.list(signal)) {
      batch.push(blob);
      if (batch.length >= CHECKED) await flush();
    }
    if (batch.length > 0) await flush();
    return adopted;
  }
}

const CHECKED = 1_000;
/** Removed while their rows are held, so within a statement's time. */
const REMOVED = 200;

/** Whether anything refers to blob `b`. */
const NEEDED = `(
  EXISTS (SELECT FROM results r WHERE r.blobs @> ARRAY[b.digest])
  OR EXISTS (SELECT FROM cache_mount_versions m WHERE m.blobs @> ARRAY[b.digest])
  OR EXISTS (SELECT FROM layer_variants v WHERE v.digest = b.digest)
  OR EXISTS (SELECT FROM layer_deltas d WHERE d.digest = b.digest)
  OR EXISTS (SELECT FROM fetched_files f WHERE f.digest = b.digest)
  OR EXISTS (SELECT FROM fetched_trees t WHERE t.manifest_digest = b.digest)
  OR EXISTS (SELECT FROM image_blobs i WHERE i.blob = b.digest AND i.kept)
  OR EXISTS (SELECT FROM event_archives e WHERE e.digest = b.digest))`;

/**
 * What was kept for a build stays as long as the build is in work, however long that is: for each project since when. A build
 * that nobody ever takes holds up no other project.
 */
const NEEDS = `SELECT project_id, min(created_at) AS since FROM builds WHERE state IN ('queued', 'running') GROUP BY project_id`;

const PINNED = `EXISTS (SELECT FROM blob_pins p JOIN builds c ON c.id = p.build_id AND c.fence = p.fence AND c.state = 'running'
  WHERE p.digest = b.digest)`;

const Row = z.object({ digest: DigestSchema });

async function digests(sql: Sql, text: string): Promise<readonly Digest[]> {
  return (await sql.query(Row, text)).map(({ digest }) => digest);
}

import { z } from 'zod';
import { type Digest, DigestSchema } from '#oci';
import { bigintColumn, type Database } from './database.ts';
import { holdBlobs } from './hold-blobs.ts';
import { noteSent, sentBytes, sentOf } from './sent-blobs.ts';

export interface SizedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

const BATCH = 5_000;
const Row = z.object({ digest: DigestSchema });
const KnownRow = Row.extend({ size_bytes: bigintColumn, stale: z.boolean() });

/** How far behind the time may be noted at which a blob was last kept for a client. */
export const KEPT_TOUCH_MS = 3_600_000;

/** Which project may see which blobs. That a blob exists is visible only through a grant. */
export class BlobIndex {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Lets a project see blobs that it sent or made. Harmless when it may already.
   * @returns those that the collector had taken out of use: their bytes may be gone although they were just put
   */
  async grant(projectId: string, blobs: readonly SizedBlob[]): Promise<ReadonlySet<Digest>> {
    return await this.#grant(projectId, blobs, { kept: false, sent: false });
  }

  /** The same for what clients fetch later: kept for a time, whether anything refers to it or not. */
  async keep(projectId: string, blobs: readonly SizedBlob[]): Promise<ReadonlySet<Digest>> {
    return await this.#grant(projectId, blobs, { kept: true, sent: false });
  }

  /** The same for what clients sent, which counts for the project as long as it is kept for that. */
  async keepSent(projectId: string, blobs: readonly SizedBlob[]): Promise<ReadonlySet<Digest>> {
    return await this.#grant(projectId, blobs, { kept: true, sent: true });
  }

  /** Of what clients sent, and the project may never get: bytes that are stored until the collector finds them. */
  async chargeSent(projectId: string, blobs: readonly SizedBlob[]): Promise<void> {
    for (const { digests, sizes } of batchesOf(blobs))
      await noteSent(this.#db, { projectId, digests, sizes, touchMs: KEPT_TOUCH_MS });
  }

  /** Those of these that a project's clients sent, whose time is not over. */
  async sent(projectId: string, digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    return await sentOf(this.#db, projectId, digests);
  }

  /** Bytes of what a project's clients sent, whose time is not over. */
  async sentBytes(projectId: string): Promise<number> {
    return await sentBytes(this.#db, projectId);
  }

  /**
   * Keeps those for a time that the project has already, without seeing their bytes. They count as if they had just been sent.
   * @returns these, with their sizes
   */
  async renew(projectId: string, digests: readonly Digest[]): Promise<ReadonlyMap<Digest, number>> {
    const had = new Map<Digest, number>();
    const ordered = [...new Set(digests)].sort();
    for (let at = 0; at < ordered.length; at += BATCH) {
      const known = await this.#db.query(
        KnownRow,
        `SELECT b.digest, b.size_bytes, coalesce(b.kept_at < now() - $3 * interval '1 millisecond', true) AS stale
         FROM grants g JOIN blobs b ON b.digest = g.digest
         WHERE g.project_id = $1 AND g.digest = ANY ($2::text[]) AND b.removed_at IS NULL`,
        [projectId, ordered.slice(at, at + BATCH), KEPT_TOUCH_MS],
      );
      for (const { digest, size_bytes: sizeBytes } of known) had.set(digest, sizeBytes);
      const sent = known.map(({ digest, size_bytes: sizeBytes }) => ({ digest, sizeBytes }));
      await this.chargeSent(projectId, sent);
      const stale = known.flatMap((row) => (row.stale ? [row.digest] : []));
      if (stale.length === 0) continue;
      // What the collector takes out of use meanwhile is the project's no more.
      const kept = await this.#db.query(
        Row,
        `UPDATE blobs b SET kept_at = now() FROM (SELECT digest FROM blobs WHERE digest = ANY ($1::text[])
           ORDER BY digest FOR NO KEY UPDATE) o WHERE b.digest = o.digest AND b.removed_at IS NULL RETURNING b.digest`,
        [stale],
      );
      const still = new Set(kept.map(({ digest }) => digest));
      for (const digest of stale) if (!still.has(digest)) had.delete(digest);
    }
    return had;
  }

  /** Those that the project has no grant for. */
  async missing(projectId: string, digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const granted = await this.#db.query(
      Row,
      'SELECT digest FROM grants WHERE project_id = $1 AND digest = ANY ($2::text[])',
      [projectId, digests],
    );
    return new Set(digests).difference(new Set(granted.map((row) => row.digest)));
  }

  async #grant(
    projectId: string,
    blobs: readonly SizedBlob[],
    { kept, sent }: { readonly kept: boolean; readonly sent: boolean },
  ): Promise<ReadonlySet<Digest>> {
    const doubtful = new Set<Digest>();
    for (const { digests, sizes } of batchesOf(blobs)) {
      const back = await this.#db.transaction(async (sql) => {
        const removed = await holdBlobs(sql, digests);
        await sql.execute(
          `INSERT INTO blobs (digest, size_bytes, kept_at)
           SELECT digest, size_bytes, CASE WHEN $3 THEN now() END FROM unnest($1::text[], $2::bigint[]) AS g (digest, size_bytes)
           ORDER BY digest
           ON CONFLICT (digest) DO UPDATE SET kept_at = now()
           WHERE $3 AND (blobs.kept_at IS NULL OR blobs.kept_at < now() - $4 * interval '1 millisecond')`,
          [digests, sizes, kept, KEPT_TOUCH_MS],
        );
        await sql.execute(
          'INSERT INTO grants (project_id, digest) SELECT $1, digest FROM unnest($2::text[]) AS g (digest) ON CONFLICT DO NOTHING',
          [projectId, digests],
        );
        if (sent) await noteSent(sql, { projectId, digests, sizes, touchMs: KEPT_TOUCH_MS });
        return removed;
      });
      for (const digest of back) doubtful.add(digest);
    }
    return doubtful;
  }
}

interface Batch {
  readonly digests: readonly Digest[];
  readonly sizes: readonly number[];
}

/**
 * In one order everywhere: two who write the same blobs never wait for each other in a ring. Each batch is written by itself;
 * to sort a million at once would hold the event loop for seconds.
 */
function* batchesOf(blobs: readonly SizedBlob[]): Generator<Batch> {
  for (let at = 0; at < blobs.length; at += BATCH) {
    const sizes = new Map(blobs.slice(at, at + BATCH).map(({ digest, sizeBytes }) => [digest, sizeBytes]));
    const ordered = [...sizes].sort(([a], [b]) => (a < b ? -1 : 1));
    yield { digests: ordered.map(([digest]) => digest), sizes: ordered.map(([, size]) => size) };
  }
}

import type { Digest } from '#oci';
import type { Claim } from './claim.ts';
import type { Database } from './database.ts';
import { holdBlobs } from './hold-blobs.ts';

const BATCH = 5_000;

/** A running build's hold on blobs that it put or relies on. It ends with the claim. */
export class BlobLeases {
  readonly #db: Database;
  readonly #claim: Pick<Claim, 'buildId' | 'fence'>;

  constructor(db: Database, claim: Pick<Claim, 'buildId' | 'fence'>) {
    this.#db = db;
    this.#claim = claim;
  }

  /**
   * From now on these are not collected. Call it before the content store is asked for them, or after a put.
   * @returns those that the collector had taken out of use: after a put, they may be gone again
   */
  async retain(digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const doubtful = new Set<Digest>();
    const { buildId, fence } = this.#claim;
    const ordered = [...new Set(digests)].sort();
    for (let at = 0; at < ordered.length; at += BATCH) {
      const batch = ordered.slice(at, at + BATCH);
      const removed = await this.#db.transaction(async (sql) => {
        const back = await holdBlobs(sql, batch);
        await sql.execute(
          `INSERT INTO blob_pins (build_id, fence, digest)
           SELECT b.id, b.fence, g.digest FROM unnest($3::text[]) AS g (digest)
           JOIN builds b ON b.id = $1 AND b.fence = $2 AND b.state = 'running' ON CONFLICT DO NOTHING`,
          [buildId, fence, batch],
        );
        return back;
      });
      for (const digest of removed) doubtful.add(digest);
    }
    return doubtful;
  }
}

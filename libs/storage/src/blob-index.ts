import { z } from 'zod';
import { type Digest, DigestSchema } from '#oci';
import type { Database } from './database.ts';

export interface SizedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

const BATCH = 5_000;
const Row = z.object({ digest: DigestSchema });

/** Which project may see which blobs. That a blob exists is visible only through a grant. */
export class BlobIndex {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Lets a project see blobs that it sent or made. Harmless when it may already. */
  async grant(projectId: string, blobs: readonly SizedBlob[]): Promise<void> {
    // In one order everywhere: two who grant the same blobs never wait for each other in a ring.
    const ordered = [...new Map(blobs.map((blob) => [blob.digest, blob.sizeBytes]))].sort(([a], [b]) =>
      a < b ? -1 : 1,
    );
    for (let at = 0; at < ordered.length; at += BATCH) {
      const batch = ordered.slice(at, at + BATCH);
      await this.#db.execute(
        `WITH given AS (SELECT * FROM unnest($2::text[], $3::bigint[]) AS g (digest, size_bytes)),
              known AS (INSERT INTO blobs (digest, size_bytes) SELECT digest, size_bytes FROM given
                        ON CONFLICT (digest) DO NOTHING)
         INSERT INTO grants (project_id, digest) SELECT $1, digest FROM given ON CONFLICT DO NOTHING`,
        [projectId, batch.map(([digest]) => digest), batch.map(([, sizeBytes]) => sizeBytes)],
      );
    }
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
}

import { z } from 'zod';
import { type Digest, DigestSchema, type Layer } from '#oci';
import { holdFence } from './build-claims.ts';
import type { Claim } from './claim.ts';
import { bigintColumn, type Database } from './database.ts';

const Row = z.object({
  key: DigestSchema,
  media_type: z.string(),
  digest: DigestSchema,
  size_bytes: bigintColumn,
  diff_id: DigestSchema,
});

/** Layers in other forms than the cache has them, as one build sees them. That their blobs are there is for the caller to see. */
export class LayerVariantStore {
  readonly #db: Database;
  readonly #claim: Pick<Claim, 'buildId' | 'fence' | 'projectId'>;

  constructor(db: Database, claim: Pick<Claim, 'buildId' | 'fence' | 'projectId'>) {
    this.#db = db;
    this.#claim = claim;
  }

  async findVariants(keys: readonly Digest[]): Promise<ReadonlyMap<Digest, Layer>> {
    const rows = await this.#db.query(
      Row,
      'SELECT key, media_type, digest, size_bytes, diff_id FROM layer_variants WHERE project_id = $1 AND key = ANY ($2::text[])',
      [this.#claim.projectId, keys],
    );
    return new Map(
      rows.map(({ key, media_type: mediaType, digest, size_bytes: size, diff_id: diffId }) => [
        key,
        { descriptor: { mediaType, digest, size }, diffId },
      ]),
    );
  }

  /** Under the build's fence; a newer one takes the place of one whose blob may be gone. */
  async saveVariant(key: Digest, { descriptor, diffId }: Layer): Promise<void> {
    await this.#db.transaction(async (sql) => {
      await holdFence(sql, this.#claim);
      await sql.execute(
        `INSERT INTO layer_variants (project_id, key, media_type, digest, size_bytes, diff_id) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (project_id, key) DO UPDATE SET media_type = excluded.media_type, digest = excluded.digest,
           size_bytes = excluded.size_bytes, diff_id = excluded.diff_id`,
        [this.#claim.projectId, key, descriptor.mediaType, descriptor.digest, descriptor.size, diffId],
      );
    });
  }
}

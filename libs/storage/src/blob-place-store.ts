import { z } from 'zod';
import { type Descriptor, type Digest, DigestSchema } from '#oci';
import { holdFence } from './build-claims.ts';
import type { Claim } from './claim.ts';
import { bigintColumn, type Database } from './database.ts';

/** A blob, and the repository that has it. */
export interface BlobPlaceRow {
  readonly descriptor: Descriptor;
  readonly registry: string;
  readonly repository: string;
}

const Row = z.object({
  digest: DigestSchema,
  media_type: z.string(),
  size_bytes: bigintColumn,
  registry: z.string(),
  repository: z.string(),
});

/** Where blobs of a project lie that have not come yet, as one build sees it. */
export class BlobPlaceStore {
  readonly #db: Database;
  readonly #claim: Pick<Claim, 'buildId' | 'fence' | 'projectId'>;

  constructor(db: Database, claim: Pick<Claim, 'buildId' | 'fence' | 'projectId'>) {
    this.#db = db;
    this.#claim = claim;
  }

  async find(digests: readonly Digest[]): Promise<ReadonlyMap<Digest, BlobPlaceRow>> {
    const rows = await this.#db.query(
      Row,
      `SELECT digest, media_type, size_bytes, registry, repository FROM blob_places
       WHERE project_id = $1 AND digest = ANY ($2::text[])`,
      [this.#claim.projectId, digests],
    );
    return new Map(
      rows.map(({ digest, media_type: mediaType, size_bytes: size, registry, repository }) => [
        digest,
        { descriptor: { mediaType, digest, size }, registry, repository },
      ]),
    );
  }

  /** Under the build's fence; who saw a blob last knows best where it is. */
  async keep(places: readonly BlobPlaceRow[]): Promise<void> {
    if (places.length === 0) return;
    const ordered = places.toSorted((a, b) => (a.descriptor.digest < b.descriptor.digest ? -1 : 1));
    await this.#db.transaction(async (sql) => {
      await holdFence(sql, this.#claim);
      await sql.execute(
        `INSERT INTO blob_places (project_id, digest, media_type, size_bytes, registry, repository)
         SELECT $1, p.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[]) AS p
         ON CONFLICT (project_id, digest) DO UPDATE SET registry = excluded.registry, repository = excluded.repository,
           seen_at = now()`,
        [
          this.#claim.projectId,
          ordered.map(({ descriptor }) => descriptor.digest),
          ordered.map(({ descriptor }) => descriptor.mediaType),
          ordered.map(({ descriptor }) => descriptor.size),
          ordered.map(({ registry }) => registry),
          ordered.map(({ repository }) => repository),
        ],
      );
    });
  }

  /** They have come, or are there no more. */
  async forget(digests: readonly Digest[]): Promise<void> {
    if (digests.length === 0) return;
    await this.#db.execute('DELETE FROM blob_places WHERE project_id = $1 AND digest = ANY ($2::text[])', [
      this.#claim.projectId,
      digests,
    ]);
  }
}

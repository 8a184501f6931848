import { type Descriptor, type Digest, DigestSchema, parseReference } from '#oci';
import type { ImageContent } from '#protocol';
import { z } from 'zod';
import { holdFence } from './build-claims.ts';
import type { Claim } from './claim.ts';
import type { Database } from './database.ts';
import { holdBlobs } from './hold-blobs.ts';
import { imageColumns, ImageRow, nearestImages, unknownImage } from './image-row.ts';

/** An image that a build made, for others of its project. */
export interface MadeImage {
  readonly image: ImageContent;
  /** full ones, with tags */
  readonly names: readonly string[];
  /** all blobs are in the content store, and stay there */
  readonly kept: boolean;
  /** index, manifests, configs: kept in any case */
  readonly documents: readonly Descriptor[];
  readonly layers: readonly Descriptor[];
  /** lists of what the layers change: kept in any case, as far as they come to be stored */
  readonly deltas: readonly Descriptor[];
}

/** A repository at its registry. */
export interface ImageRepository {
  readonly registry: string;
  readonly repository: string;
}

const PlaceRow = z.object({ blob: DigestSchema, registry: z.string(), repository: z.string() });
const MAX_PLACES = 10_000;

/** The project's images, as one build sees them. */
export class BuildImages {
  readonly #db: Database;
  readonly #claim: Pick<Claim, 'buildId' | 'fence' | 'projectId' | 'scopes'>;

  constructor(db: Database, claim: Pick<Claim, 'buildId' | 'fence' | 'projectId' | 'scopes'>) {
    this.#db = db;
    this.#claim = claim;
  }

  /**
   * Makes an image known in the build's scope, and gives it the names that others have there.
   * @returns blobs that the collector had taken out of use: their bytes may be gone although they were just put
   * @throws KilnError FENCED
   */
  async keep({ image, names, kept, documents, layers, deltas }: MadeImage): Promise<ReadonlySet<Digest>> {
    const { buildId, projectId, scopes } = this.#claim;
    const [{ id: scopeId }] = scopes;
    const { digest } = image.descriptor;
    // What it is made of is small, and tells what a registry has long after its layers have gone.
    const needed = distinct(kept ? [...documents, ...layers] : documents);
    const told = distinct(deltas).filter((blob) => !needed.includes(blob));
    const others = distinct(kept ? [] : layers).filter((blob) => !needed.includes(blob) && !told.includes(blob));
    const all = [
      ...[...needed, ...told].map((blob) => ({ blob, kept: true })),
      ...others.map((blob) => ({ blob, kept: false })),
    ];
    return await this.#db.transaction(async (sql) => {
      await holdFence(sql, this.#claim);
      const removed = await holdBlobs(sql, needed);
      await sql.execute(
        `INSERT INTO images (project_id, scope_id, digest, id, kept, image, build_id) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (project_id, scope_id, digest) DO UPDATE SET kept = images.kept OR excluded.kept, image = excluded.image,
           build_id = excluded.build_id, used_at = now()`,
        [projectId, scopeId, digest, image.variants[0]?.id, kept, JSON.stringify(image), buildId],
      );
      await sql.execute(
        `INSERT INTO image_blobs (project_id, scope_id, digest, blob, kept)
         SELECT $1, $2, $3, blob, kept FROM unnest($4::text[], $5::boolean[]) AS b (blob, kept)
         ON CONFLICT (project_id, scope_id, digest, blob) DO UPDATE SET kept = true WHERE excluded.kept AND NOT image_blobs.kept`,
        [projectId, scopeId, digest, all.map((each) => each.blob), all.map((each) => each.kept)],
      );
      await sql.execute(
        `INSERT INTO image_names (project_id, scope_id, name, digest)
         SELECT $1, $2, name, $3 FROM unnest($4::text[]) AS n (name)
         ON CONFLICT (project_id, scope_id, name) DO UPDATE SET digest = excluded.digest`,
        [projectId, scopeId, digest, [...new Set(names)].sort()],
      );
      return removed;
    });
  }

  /** @throws KilnError NOT_FOUND */
  async read(digest: Digest): Promise<ImageContent> {
    const { projectId, scopes } = this.#claim;
    const [row] = await this.#db.query(ImageRow, `SELECT ${imageColumns} FROM ${nearestImages} AND i.digest = $3`, [
      projectId,
      scopes.map(({ id }) => id),
      digest,
    ]);
    if (row === undefined) throw unknownImage(digest);
    return row.image;
  }

  /** Repositories that blobs of the project's images were pushed to, those pushed to last first. */
  async places(digests: readonly Digest[]): Promise<ReadonlyMap<Digest, readonly ImageRepository[]>> {
    const { projectId, scopes } = this.#claim;
    const rows = await this.#db.query(
      PlaceRow,
      `SELECT b.blob, r.registry, r.repository FROM image_blobs b
       JOIN image_repositories r USING (project_id, scope_id, digest)
       WHERE b.project_id = $1 AND b.scope_id = ANY ($2::text[]) AND b.blob = ANY ($3::text[])
       GROUP BY 1, 2, 3 ORDER BY max(r.pushed_at) DESC, r.registry, r.repository LIMIT ${MAX_PLACES}`,
      [projectId, scopes.map(({ id }) => id), digests],
    );
    const places = new Map<Digest, ImageRepository[]>();
    for (const { blob, ...repository } of rows) {
      const known = places.get(blob);
      if (known === undefined) places.set(blob, [repository]);
      else known.push(repository);
    }
    return places;
  }

  /** An image was of use, and has been pushed under these names; of one that is not known in the build's scope nothing is noted. @throws KilnError FENCED */
  async pushed(digest: Digest, names: readonly string[]): Promise<void> {
    const { projectId, scopes } = this.#claim;
    const [{ id: scopeId }] = scopes;
    const repositories = [...new Set(names.map(repositoryOf))].sort();
    await this.#db.transaction(async (sql) => {
      await holdFence(sql, this.#claim);
      await sql.execute('UPDATE images SET used_at = now() WHERE project_id = $1 AND scope_id = $2 AND digest = $3', [
        projectId,
        scopeId,
        digest,
      ]);
      await sql.execute(
        `INSERT INTO image_repositories (project_id, scope_id, digest, registry, repository)
         SELECT i.project_id, i.scope_id, i.digest, split_part(n.name, '/', 1), substr(n.name, strpos(n.name, '/') + 1)
         FROM images i CROSS JOIN unnest($4::text[]) AS n (name)
         WHERE i.project_id = $1 AND i.scope_id = $2 AND i.digest = $3
         ON CONFLICT (project_id, scope_id, digest, registry, repository) DO UPDATE SET pushed_at = now()`,
        [projectId, scopeId, digest, repositories],
      );
    });
  }
}

const distinct = (blobs: readonly Descriptor[]): readonly Digest[] =>
  [...new Set(blobs.map(({ digest }) => digest))].sort();

function repositoryOf(name: string): string {
  const { registry, repository } = parseReference(name);
  return `${registry}/${repository}`;
}

import { z } from 'zod';
import { type Digest, DigestSchema, type ImageConfig, ImageConfigSchema, type Manifest, ManifestSchema } from '#oci';
import type { Claim } from './claim.ts';
import type { Database } from './database.ts';

/** What a tag stood for on one platform. */
export interface CachedImage {
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  readonly standIn: boolean;
}

const Row = z.object({
  digest: DigestSchema,
  manifest: ManifestSchema,
  config: ImageConfigSchema,
  stand_in: z.boolean(),
  resolved_at: z.date(),
});

/** What everybody is told is the whole project's. */
const EVERYBODY = '';

/**
 * What tags were found to stand for, of one project: private images are named here. What a registry told to a build with
 * credentials for it is for builds with credentials, of its own scope and those that inherit it.
 */
export class ImageTagCache {
  readonly #db: Database;
  readonly #projectId: string;
  readonly #scopes: Claim['scopes'];

  constructor(db: Database, { projectId, scopes }: Pick<Claim, 'projectId' | 'scopes'>) {
    this.#db = db;
    this.#projectId = projectId;
    this.#scopes = scopes;
  }

  /** @param known whether the build has credentials for the registry */
  async get(
    reference: string,
    platform: string,
    known: boolean,
  ): Promise<{ readonly image: CachedImage; readonly resolvedAtMs: number } | null> {
    const [row] = await this.#db.query(
      Row,
      `SELECT digest, manifest, config, stand_in, resolved_at FROM image_tags
       WHERE project_id = $1 AND reference = $2 AND platform = $3 AND scope_id = ANY ($4)
       ORDER BY resolved_at DESC LIMIT 1`,
      [this.#projectId, reference, platform, [EVERYBODY, ...(known ? this.#scopes.map(({ id }) => id) : [])]],
    );
    if (row === undefined) return null;
    const { digest, manifest, config, stand_in: standIn, resolved_at: resolvedAt } = row;
    return { image: { digest, manifest, config, standIn }, resolvedAtMs: resolvedAt.getTime() };
  }

  /** The later resolution wins. */
  async put(
    reference: string,
    platform: string,
    image: CachedImage,
    { resolvedAtMs, known }: { readonly resolvedAtMs: number; readonly known: boolean },
  ): Promise<void> {
    const { digest, manifest, config, standIn } = image;
    await this.#db.execute(
      `INSERT INTO image_tags (project_id, reference, platform, digest, manifest, config, stand_in, resolved_at,
         scope_id)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
       ON CONFLICT (project_id, reference, platform, scope_id) DO UPDATE SET digest = excluded.digest,
         manifest = excluded.manifest, config = excluded.config, stand_in = excluded.stand_in,
         resolved_at = excluded.resolved_at
       WHERE image_tags.resolved_at <= excluded.resolved_at`,
      [
        this.#projectId,
        reference,
        platform,
        digest,
        JSON.stringify(manifest),
        JSON.stringify(config),
        standIn,
        new Date(resolvedAtMs),
        known ? this.#scopes[0].id : EVERYBODY,
      ],
    );
  }
}

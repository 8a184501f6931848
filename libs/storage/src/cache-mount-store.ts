import { z } from 'zod';
import { type Digest, DigestSchema } from '#oci';
import { KilnError } from '#std';
import type { Claim } from './claim.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';
import { holdBlobs } from './hold-blobs.ts';

/** Which version of a cache mount; numbers count in each scope, and none is given twice. */
export interface CacheMountVersionId {
  readonly scopeId: string;
  readonly version: number;
}

export interface CacheMountVersion extends CacheMountVersionId {
  /** name of its scope */
  readonly scope: string;
  readonly manifest: Digest;
}

export interface NewCacheMountVersion {
  /** as the Dockerfile has it */
  readonly id: string;
  /** what the directory was made from */
  readonly base: CacheMountVersionId | undefined;
  /** the newest version of the own scope that it stands on or holds too; any newer one makes it CONFLICT */
  readonly merged: { readonly newest: number | undefined } | undefined;
  readonly manifest: Digest;
  /** the manifest too */
  readonly blobs: readonly { readonly digest: Digest; readonly sizeBytes: number }[];
  /** of the directory's files */
  readonly sizeBytes: number;
  readonly entries: number;
}

/** Of each mount in each scope: the newest, and the one before for whoever reads it just now, or where a blob is lost. */
const KEPT_VERSIONS = 2;

const VersionRow = z.object({ scope_id: z.string(), scope: z.string(), version: bigintColumn, manifest: DigestSchema });
const Drawn = z.object({ version: bigintColumn });
const Newest = z.object({ version: bigintColumn.nullable() });
const Held = z.object({ id: z.string() });

/** Versions of cache mounts as one build sees them: it reads its own and the inherited scopes', and writes its own. */
export class CacheMountStore {
  readonly #db: Database;
  readonly #claim: Claim;

  constructor(db: Database, claim: Claim) {
    this.#db = db;
    this.#claim = claim;
  }

  /** Those that a build may begin with, the best first: of the nearest scope, there the newest. */
  async versions(mount: Digest): Promise<readonly CacheMountVersion[]> {
    const { projectId, scopes } = this.#claim;
    const rows = await this.#db.query(
      VersionRow,
      `SELECT v.scope_id, s.name AS scope, v.version, v.manifest FROM cache_mount_versions v
         JOIN scopes s ON s.project_id = v.project_id AND s.id = v.scope_id
       WHERE v.project_id = $1 AND v.mount = $2 AND v.scope_id = ANY ($3::text[])
       ORDER BY array_position($3::text[], v.scope_id), v.version DESC`,
      [projectId, mount, scopes.map(({ id }) => id)],
    );
    return rows.map(({ scope_id: scopeId, scope, version, manifest }) => ({ scopeId, scope, version, manifest }));
  }

  /** Notes that a version was of use. */
  async used(mount: Digest, { scopeId, version }: CacheMountVersionId): Promise<void> {
    await this.#db.execute(
      `UPDATE cache_mount_versions SET used_at = now()
       WHERE project_id = $1 AND scope_id = $2 AND mount = $3 AND version = $4`,
      [this.#claim.projectId, scopeId, mount, version],
    );
  }

  /**
   * Makes a version the newest of the build's own scope, under its fence; builds that have ended under it may, too.
   * @returns its number, and that of the version that it takes the place of without standing on it
   * @throws KilnError FENCED; BLOB_MISSING when the collector had taken a blob out of use: put again, it can be published;
   *   CONFLICT when there is a newer version than what was merged
   */
  async publish(
    mount: Digest,
    given: NewCacheMountVersion,
  ): Promise<{ readonly version: number; readonly replaced: number | undefined }> {
    const { projectId, scopes, buildId, builderId } = this.#claim;
    const scopeId = scopes[0].id;
    const digests = given.blobs.map(({ digest }) => digest);
    // From now on they are in use again; what was put before may be gone.
    if ((await this.#db.transaction((sql) => holdBlobs(sql, digests))).size > 0)
      throw new KilnError('BLOB_MISSING', 'a pack of the cache mount was collected while it was put together');
    return await this.#db.transaction(async (sql) => {
      await this.#holdEndedFence(sql);
      // The row is held from here on: one publication of a mount at a time.
      const [drawn] = await sql.query(
        Drawn,
        `INSERT INTO cache_mounts (project_id, scope_id, mount, id, last_version) VALUES ($1, $2, $3, $4, 1)
         ON CONFLICT (project_id, scope_id, mount) DO UPDATE SET last_version = cache_mounts.last_version + 1
         RETURNING last_version AS version`,
        [projectId, scopeId, mount, given.id],
      );
      const [found] = await sql.query(
        Newest,
        'SELECT max(version)::text AS version FROM cache_mount_versions WHERE project_id = $1 AND scope_id = $2 AND mount = $3',
        [projectId, scopeId, mount],
      );
      if (drawn === undefined) throw new KilnError('INTERNAL', 'a version without a number');
      const { version } = drawn;
      const newest = found?.version ?? undefined;
      const { base, merged } = given;
      if (merged !== undefined && merged.newest !== newest)
        throw new KilnError('CONFLICT', `version ${newest ?? 0} of the cache mount came meanwhile`);
      const standsOn = base?.scopeId === scopeId ? base.version : undefined;
      const replaced = merged === undefined && newest !== standsOn ? newest : undefined;
      await holdBlobs(sql, digests);
      await grantBlobs(sql, projectId, given.blobs);
      await sql.execute(
        `INSERT INTO cache_mount_versions (project_id, scope_id, mount, version, base_scope_id, base_version, replaced,
           manifest, blobs, size_bytes, stored_bytes, entries, build_id, builder_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
        [
          ...[projectId, scopeId, mount, version, base?.scopeId ?? null, base?.version ?? null, replaced ?? null],
          ...[given.manifest, digests, given.sizeBytes],
          ...[given.blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), given.entries, buildId, builderId],
        ],
      );
      await sql.execute(
        `DELETE FROM cache_mount_versions WHERE project_id = $1 AND scope_id = $2 AND mount = $3 AND version NOT IN (
           SELECT version FROM cache_mount_versions WHERE project_id = $1 AND scope_id = $2 AND mount = $3
           ORDER BY version DESC LIMIT $4)`,
        [projectId, scopeId, mount, KEPT_VERSIONS],
      );
      return { version, replaced };
    });
  }

  /** Forgets a version that cannot be read; one of another scope is not this build's to forget. */
  async forget(mount: Digest, { scopeId, version }: CacheMountVersionId): Promise<void> {
    const { projectId, scopes } = this.#claim;
    if (scopeId !== scopes[0].id) return;
    await this.#db.execute(
      'DELETE FROM cache_mount_versions WHERE project_id = $1 AND scope_id = $2 AND mount = $3 AND version = $4',
      [projectId, scopeId, mount, version],
    );
  }

  /**
   * Takes a mount of the build's scope for one step alone, on all builders. What a claim took that is no more is free.
   * @param holder a name of its own each time; asking again with the same one is harmless
   */
  async lock(mount: Digest, holder: string): Promise<boolean> {
    const { projectId, scopes, buildId, fence } = this.#claim;
    const written = await this.#db.execute(
      `INSERT INTO cache_mount_locks AS held (project_id, scope_id, mount, holder, build_id, fence)
       SELECT $1, $2, $3, $4, id, fence FROM builds WHERE id = $5 AND fence = $6 AND state = 'running'
       ON CONFLICT (project_id, scope_id, mount) DO UPDATE SET holder = excluded.holder, build_id = excluded.build_id,
         fence = excluded.fence
       WHERE held.holder = excluded.holder OR NOT EXISTS (
         SELECT 1 FROM builds b WHERE b.id = held.build_id AND b.fence = held.fence AND b.state = 'running')`,
      [projectId, scopes[0].id, mount, holder, buildId, fence],
    );
    return written === 1;
  }

  async unlock(mount: Digest, holder: string): Promise<void> {
    await this.#db.execute(
      'DELETE FROM cache_mount_locks WHERE project_id = $1 AND scope_id = $2 AND mount = $3 AND holder = $4',
      [this.#claim.projectId, this.#claim.scopes[0].id, mount, holder],
    );
  }

  /** A build that was taken away has another fence; one that has ended keeps its own. */
  async #holdEndedFence(sql: Sql): Promise<void> {
    const { buildId, fence } = this.#claim;
    const [held] = await sql.query(
      Held,
      "SELECT id FROM builds WHERE id = $1 AND fence = $2 AND state <> 'queued' FOR SHARE",
      [buildId, fence],
    );
    if (held === undefined)
      throw new KilnError('FENCED', `the build ${buildId} is no longer held under fence ${fence}`);
  }
}

async function grantBlobs(sql: Sql, projectId: string, blobs: NewCacheMountVersion['blobs']): Promise<void> {
  // In one order everywhere: two who grant the same blobs never wait for each other in a ring.
  const ordered = blobs.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
  await sql.execute(
    `WITH given AS (SELECT * FROM unnest($2::text[], $3::bigint[]) AS g (digest, size_bytes)),
          known AS (INSERT INTO blobs (digest, size_bytes) SELECT digest, size_bytes FROM given
                    ON CONFLICT (digest) DO NOTHING)
     INSERT INTO grants (project_id, digest) SELECT $1, digest FROM given ON CONFLICT DO NOTHING`,
    [projectId, ordered.map(({ digest }) => digest), ordered.map(({ sizeBytes }) => sizeBytes)],
  );
}

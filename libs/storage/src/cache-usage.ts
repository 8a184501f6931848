import { CacheKind, type CacheUsage } from '#protocol';
import { z } from 'zod';
import { bigintColumn, type Database } from './database.ts';

const KindRow = z.object({ rank: z.int(), blobs: bigintColumn, bytes: bigintColumn });
const ScopeRow = z.object({
  scope: z.string(),
  results: bigintColumn,
  records: bigintColumn,
  bytes: bigintColumn,
  shared_bytes: bigintColumn,
});
/** Those that a quota is for. */
const cached: readonly CacheKind[] = ['layers', 'forms', 'sources', 'mounts'];

/** What takes room in a project. */
export async function cacheUsage(db: Database, projectId: string, quotaBytes: number): Promise<CacheUsage> {
  const rows = await db.query(
    KindRow,
    `WITH refs AS (
       SELECT unnest(blobs) AS digest, 0 AS rank FROM results WHERE project_id = $1
       UNION ALL SELECT digest, 0 FROM layer_deltas WHERE project_id = $1
       UNION ALL SELECT digest, 1 FROM layer_variants WHERE project_id = $1
       UNION ALL SELECT digest, 2 FROM fetched_files WHERE project_id = $1
       UNION ALL SELECT manifest_digest, 2 FROM fetched_trees WHERE project_id = $1
       UNION ALL SELECT unnest(blobs), 3 FROM cache_mount_versions WHERE project_id = $1
       UNION ALL SELECT digest, 4 FROM event_archives WHERE project_id = $1
       UNION ALL SELECT g.digest, CASE WHEN b.kept_at IS NULL THEN 6 ELSE 5 END
                 FROM grants g JOIN blobs b USING (digest) WHERE g.project_id = $1)
     SELECT f.rank, count(*)::text AS blobs, sum(b.size_bytes)::text AS bytes
     FROM (SELECT digest, min(rank) AS rank FROM refs GROUP BY digest) f JOIN blobs b USING (digest)
     WHERE b.removed_at IS NULL GROUP BY f.rank ORDER BY f.rank`,
    [projectId],
  );
  const kinds = rows.flatMap(({ rank, blobs, bytes }) => {
    const kind = CacheKind.options[rank];
    return kind === undefined ? [] : [{ kind, blobs, bytes }];
  });
  const sum = (some: readonly { readonly bytes: number }[]): number => some.reduce((all, { bytes }) => all + bytes, 0);
  return {
    bytes: sum(kinds),
    cacheBytes: sum(kinds.filter(({ kind }) => cached.includes(kind))),
    quotaBytes,
    kinds,
    scopes: await scopesOf(db, projectId),
  };
}

async function scopesOf(db: Database, projectId: string): Promise<CacheUsage['scopes']> {
  const rows = await db.query(
    ScopeRow,
    `WITH refs AS (SELECT DISTINCT scope_id, unnest(blobs) AS digest FROM results WHERE project_id = $1),
       counts AS (SELECT digest, count(*) AS n FROM refs GROUP BY digest),
       sizes AS (
         SELECT f.scope_id, sum(b.size_bytes) AS bytes, coalesce(sum(b.size_bytes) FILTER (WHERE c.n > 1), 0) AS shared
         FROM refs f JOIN counts c USING (digest) JOIN blobs b USING (digest) GROUP BY f.scope_id),
       results_of AS (SELECT scope_id, count(*) AS n FROM results WHERE project_id = $1 GROUP BY scope_id),
       records_of AS (SELECT scope_id, count(*) AS n FROM records WHERE project_id = $1 GROUP BY scope_id)
     SELECT s.name AS scope, r.n::text AS results, coalesce(k.n, 0)::text AS records, coalesce(z.bytes, 0)::text AS bytes,
       coalesce(z.shared, 0)::text AS shared_bytes
     FROM scopes s JOIN results_of r ON r.scope_id = s.id LEFT JOIN records_of k ON k.scope_id = s.id
     LEFT JOIN sizes z ON z.scope_id = s.id WHERE s.project_id = $1 ORDER BY z.bytes DESC NULLS LAST, s.name`,
    [projectId],
  );
  return rows.map(({ shared_bytes: sharedBytes, ...row }) => ({ ...row, sharedBytes }));
}

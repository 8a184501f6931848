import { type Worth, valueSql } from '#cache';
import { z } from 'zod';
import { buryResults } from './bury-results.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';

/** A pin `p` that counts, for FROM: that of a build which still runs under the same fence. */
export const LIVE_PINS =
  "result_pins p JOIN builds b ON b.id = p.build_id AND b.fence = p.fence AND b.state = 'running'";

/** What reads all of a large index may take longer than an answer to a build. */
const PATIENCE_MS = 600_000;

const Row = z.object({
  id: z.string(),
  versions: z.array(z.string()),
  cost_ms: z.number(),
  uses: z.number(),
  idle_ms: z.number(),
  bytes: z.number(),
  scopes: z.array(z.string()),
  created_at: z.date(),
  used_at: z.date(),
});

/** A result that may go, in every scope that has it: together they are one stack of layers. */
export interface EvictableResult extends Worth {
  readonly id: string;
  readonly versions: readonly string[];
  readonly scopes: readonly string[];
  readonly createdAt: Date;
  readonly usedAt: Date;
}

export interface EvictableQuery {
  /** null: of the whole farm */
  readonly projectId: string | null;
  /** only those that no build made or found for so long */
  readonly idleMs: number;
  readonly limit: number;
  /** ids of results that count as gone already */
  readonly taken?: readonly string[] | undefined;
}

/**
 * Results that nothing stands on and no running build has found, the least valuable first. To take one that others stand on
 * would free nothing: its layers are theirs too. Once those above it are gone, it is among these itself.
 */
export async function evictableResults(
  db: Database,
  { projectId, idleMs, limit, taken = [] }: EvictableQuery,
): Promise<readonly EvictableResult[]> {
  const figures = { costMs: 'cost_ms', uses: 'uses', idleMs: 'idle_ms', bytes: 'bytes' };
  const rows = await db.transaction(async (sql) => {
    return await sql.query(
      Row,
      `WITH r AS MATERIALIZED (
           SELECT t.id, version, parents, blobs, cost_ms, uses, used_at, t.created_at, s.name AS scope
           FROM results t JOIN scopes s ON s.id = t.scope_id
           WHERE ($1::text IS NULL OR t.project_id = $1) AND NOT t.id = ANY ($2::text[])),
         refs AS MATERIALIZED (SELECT DISTINCT r.id, d.digest FROM r, unnest(r.blobs) AS d (digest)),
         shares AS (
           SELECT f.id, sum(s.share) AS bytes FROM refs f
           JOIN (SELECT c.digest, b.size_bytes::double precision / c.n AS share
                 FROM (SELECT digest, count(*) AS n FROM refs GROUP BY digest) c JOIN blobs b USING (digest)) s USING (digest)
           GROUP BY f.id),
         units AS (
           SELECT r.id, array_agg(r.version::text) AS versions, max(r.cost_ms) AS cost_ms,
             sum(r.uses)::double precision AS uses,
             extract(epoch FROM now() - max(r.used_at))::double precision * 1000 AS idle_ms,
             coalesce(max(s.bytes), 0) AS bytes, array_agg(DISTINCT r.scope) AS scopes,
             min(r.created_at) AS created_at, max(r.used_at) AS used_at
           FROM r LEFT JOIN shares s USING (id)
           WHERE NOT EXISTS (SELECT FROM (SELECT DISTINCT unnest(parents) AS id FROM r) i WHERE i.id = r.id)
           GROUP BY r.id
           HAVING NOT bool_or(r.version IN (SELECT p.version FROM ${LIVE_PINS})))
       SELECT * FROM units WHERE idle_ms >= $3 ORDER BY ${valueSql(figures)}, bytes DESC LIMIT $4`,
      [projectId, taken, idleMs, limit],
    );
  }, PATIENCE_MS);
  return rows.map(({ cost_ms: costMs, idle_ms, created_at: createdAt, used_at: usedAt, ...row }) => ({
    ...row,
    costMs,
    idleMs: idle_ms,
    createdAt,
    usedAt,
  }));
}

const Bytes = z.object({ bytes: bigintColumn });

/** What the cache takes: every blob that results, layers in other forms, deltas and fetched files need, once. */
export async function cacheBytes(
  db: Database,
  projectId: string | null,
  taken: readonly string[] = [],
): Promise<number> {
  const [row] = await db.transaction(async (sql) => {
    return await sql.query(
      Bytes,
      `SELECT coalesce(sum(size_bytes), 0)::text AS bytes FROM blobs WHERE removed_at IS NULL AND digest IN (
         SELECT unnest(blobs) FROM results WHERE ($1::text IS NULL OR project_id = $1) AND NOT id = ANY ($2::text[])
         UNION SELECT unnest(blobs) FROM cache_mount_versions WHERE $1::text IS NULL OR project_id = $1
         UNION SELECT digest FROM layer_variants WHERE $1::text IS NULL OR project_id = $1
         UNION SELECT digest FROM layer_deltas WHERE $1::text IS NULL OR project_id = $1
         UNION SELECT digest FROM fetched_files WHERE $1::text IS NULL OR project_id = $1
         UNION SELECT manifest_digest FROM fetched_trees WHERE $1::text IS NULL OR project_id = $1)`,
      [projectId, taken],
    );
  }, PATIENCE_MS);
  return row?.bytes ?? 0;
}

const Locked = z.object({ version: z.string(), project_id: z.string() });

/** Takes results out of the index, save those that a build has found meanwhile. @returns versions of those that went */
export async function evictResults(
  sql: Sql,
  versions: readonly string[],
  detail: string,
): Promise<ReadonlySet<string>> {
  // A look-up locks what it pins. Whoever came first, the other sees what he did: the pins are asked for in a later statement.
  const locked = await sql.query(
    Locked,
    `SELECT version::text, project_id FROM results WHERE version = ANY ($1::bigint[])
     ORDER BY results.version FOR UPDATE SKIP LOCKED`,
    [versions],
  );
  const held = await sql.query(
    Locked.pick({ version: true }),
    `SELECT DISTINCT p.version::text FROM ${LIVE_PINS} WHERE p.version = ANY ($1::bigint[])`,
    [locked.map(({ version }) => version)],
  );
  const pinned = new Set(held.map(({ version }) => version));
  const free = locked.filter(({ version }) => !pinned.has(version));
  for (const [projectId, rows] of Map.groupBy(free, (row) => row.project_id)) {
    const gone = rows.map(({ version }) => version);
    await buryResults(sql, projectId, { versions: gone, reason: 'evicted', detail });
  }
  return new Set(free.map(({ version }) => version));
}

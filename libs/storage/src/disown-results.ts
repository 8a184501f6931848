import { operationName } from '#cache';
import { DigestSchema } from '#oci';
import { BuildResult, type CacheDisowned, type CacheDisownRequest, MAX_NAMED_DISOWNED } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import { buryResults } from './bury-results.ts';
import { type Actor, audit } from './audit-log.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';
import type { ProjectIds } from './project-store.ts';

const ResultIdRow = z.object({ id: DigestSchema });
const TaintedRow = z.object({
  version: z.string(),
  id: DigestSchema,
  scope: z.string(),
  bytes: bigintColumn,
  build: z.string(),
  created_at: z.date(),
  preimage: z.string().nullable(),
  own: z.boolean(),
});
const BuildRow = z.object({
  id: z.string(),
  scope: z.string(),
  state: z.string(),
  created_at: z.date(),
  result: BuildResult.pick({ digest: true, names: true }).nullable(),
});

/**
 * Takes results, and all that was made on top of them, out of a project's cache, and tells which builds used them. Only what is
 * in scopes that are trusted no further than the caller's goes.
 * @throws KilnError NOT_FOUND when the build, or the step, has no result in the cache
 */
export async function disownResults(
  db: Database,
  caller: Actor & ProjectIds,
  { buildId, vertex, reason, dryRun }: CacheDisownRequest,
): Promise<CacheDisowned> {
  const { projectId, scopeId } = caller;
  return await db.transaction(async (sql) => {
    const seeds =
      vertex === undefined
        ? await madeBy(sql, projectId, buildId)
        : await resultsOf(sql, { projectId, buildId, vertex });
    if (seeds.length === 0) throw nothing(vertex === undefined ? 'the build' : 'the step');
    const tainted = await standingOn(sql, { projectId, scopeId, seeds });
    const builds = await usersOf(sql, projectId, [...new Set(tainted.map(({ id }) => id))]);
    const own = tainted.filter((row) => row.own);
    const versions = own.map(({ version }) => version);
    if (!dryRun && own.length > 0) {
      await buryResults(sql, projectId, { versions, reason: 'disowned', detail: reason });
      const detail = { vertex: vertex ?? null, reason: reason ?? null, results: own.length };
      await audit(sql, caller, { action: 'cache.disown', target: buildId, detail });
    }
    return {
      results: own.slice(0, MAX_NAMED_DISOWNED).map(({ id, scope, bytes, build, created_at: createdAt, preimage }) => ({
        ...{ id, scope, bytes, buildId: build, createdAt: createdAt.toISOString() },
        name: operationName(preimage === null ? null : z.json().parse(JSON.parse(preimage))),
      })),
      otherResults: Math.max(0, own.length - MAX_NAMED_DISOWNED),
      protectedResults: tainted.length - own.length,
      builds: builds.slice(0, MAX_NAMED_DISOWNED).map(({ id, scope, state, created_at: createdAt, result }) => ({
        ...{ id, scope, state, createdAt: createdAt.toISOString() },
        ...{ digest: result?.digest ?? null, names: result?.names ?? [] },
      })),
      otherBuilds: Math.max(0, builds.length - MAX_NAMED_DISOWNED),
    };
  });
}

function nothing(what: string): KilnError {
  return new KilnError('NOT_FOUND', `${what} has no result in the cache`, {
    hint: 'kiln builds lists builds; what was evicted, or disowned already, is no more',
  });
}

async function madeBy(sql: Sql, projectId: string, buildId: string): Promise<readonly string[]> {
  const rows = await sql.query(
    ResultIdRow,
    `SELECT DISTINCT r.id FROM results r JOIN build_results u ON u.build_id = $2 AND u.result_id = r.id
     LEFT JOIN builds part ON part.id = r.producer_build
     WHERE r.project_id = $1 AND u.project_id = $1 AND $2 IN (r.producer_build, part.parent_id)`,
    [projectId, buildId],
  );
  return rows.map(({ id }) => id);
}

/** What a step found, else what it made: of its key's results those that the build had. */
async function resultsOf(
  sql: Sql,
  { projectId, buildId, vertex }: { readonly projectId: string; readonly buildId: string; readonly vertex: string },
): Promise<readonly string[]> {
  const rows = await sql.query(
    ResultIdRow,
    `SELECT s.hit->>'result' AS id FROM steps s
     WHERE s.project_id = $1 AND s.build_id = $2 AND s.vertex = $3 AND s.hit->>'result' IS NOT NULL
     UNION
     SELECT r.result_id FROM build_keys k
     JOIN records r ON r.project_id = k.project_id AND r.key = k.key
     JOIN build_results u ON u.build_id = k.build_id AND u.result_id = r.result_id
     WHERE k.project_id = $1 AND k.build_id = $2 AND k.vertex = $3`,
    [projectId, buildId, vertex],
  );
  return rows.map(({ id }) => id);
}

async function standingOn(
  sql: Sql,
  {
    projectId,
    scopeId,
    seeds,
  }: { readonly projectId: string; readonly scopeId: string; readonly seeds: readonly string[] },
): Promise<readonly z.infer<typeof TaintedRow>[]> {
  return await sql.query(
    TaintedRow,
    `WITH RECURSIVE tainted AS (
       SELECT unnest($3::text[]) AS id
       UNION
       SELECT r.id FROM tainted t JOIN results r ON r.project_id = $1 AND r.parents @> ARRAY[t.id])
     SELECT r.version::text, r.id, s.name AS scope, r.size_bytes::text AS bytes, r.producer_build AS build, r.created_at,
       s.trust <= own.trust AS own,
       (SELECT k.preimage::text FROM records k
        WHERE k.project_id = r.project_id AND k.scope_id = r.scope_id AND k.result_id = r.id LIMIT 1) AS preimage
     FROM results r JOIN scopes s ON s.project_id = r.project_id AND s.id = r.scope_id
     JOIN scopes own ON own.project_id = $1 AND own.id = $2
     WHERE r.project_id = $1 AND r.id IN (SELECT id FROM tainted)
     ORDER BY r.version FOR UPDATE OF r`,
    [projectId, scopeId, seeds],
  );
}

/** Builds that had any of these, the newest first. */
async function usersOf(
  sql: Sql,
  projectId: string,
  ids: readonly string[],
): Promise<readonly z.infer<typeof BuildRow>[]> {
  return await sql.query(
    BuildRow,
    `SELECT b.id, s.name AS scope, b.state, b.created_at, b.result
     FROM builds b JOIN scopes s ON s.project_id = b.project_id AND s.id = b.scope_id
     WHERE b.project_id = $1 AND b.parent_id IS NULL AND (
       b.id IN (SELECT build_id FROM build_results WHERE project_id = $1 AND result_id = ANY ($2::text[]))
       OR (b.state = 'running' AND EXISTS (
         SELECT FROM steps t WHERE t.build_id = b.id AND t.hit->>'result' = ANY ($2::text[]))))
     ORDER BY b.created_at DESC, b.id DESC`,
    [projectId, ids],
  );
}

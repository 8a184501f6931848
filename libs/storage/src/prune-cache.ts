import { leastValuable, operationName, valueOf } from '#cache';
import type { CachePruned, CachePruneRequest, PrunedResult } from '#protocol';
import { z } from 'zod';
import type { Json } from '#std';
import { type Actor, audit } from './audit-log.ts';
import type { Database, Sql } from './database.ts';
import { dropIdle, idleOthers } from './drop-idle.ts';
import { cacheBytes, type EvictableResult, evictableResults, evictResults } from './evictable-results.ts';

/** In one answer. */
const RESULTS = 5_000;
const CANDIDATES = 1_000;
const BATCH = 200;
const MIB = 1024 * 1024;

/**
 * Takes what somebody asked to take out of one project's cache, the least valuable first, never what a running build found.
 * The blobs follow when the collector comes to them.
 */
export async function pruneCache(db: Database, actor: Actor, request: CachePruneRequest): Promise<CachePruned> {
  const { projectId } = actor;
  const changing = new Changes(db, async (sql) => {
    await audit(sql, actor, { action: 'cache.prune', target: actor.projectId, detail: request });
  });
  const { dryRun, keepStorageBytes, unusedMs, all } = request;
  const bytesBefore = await cacheBytes(db, projectId);
  const results: PrunedResult[] = [];
  const taken: string[] = [];
  let bytes = bytesBefore;
  let others = 0;
  const enough = (): boolean => keepStorageBytes !== undefined && bytes <= keepStorageBytes;
  if (all && !enough()) {
    others = dryRun ? await idleOthers(db, projectId, unusedMs) : await dropAll(changing, projectId, unusedMs);
    bytes = await cacheBytes(db, projectId);
  }
  let more = false;
  while (!enough()) {
    // Of those that do not go because a build has found them meanwhile, the next question knows.
    const query = { projectId, idleMs: unusedMs, limit: CANDIDATES, taken: dryRun ? taken : [] };
    const candidates = await evictableResults(db, query);
    const chosen = leastValuable(candidates, keepStorageBytes === undefined ? Infinity : bytes - keepStorageBytes);
    more = chosen.length > 0 && results.length >= RESULTS;
    if (chosen.length === 0 || more) break;
    const named = await withNames(db, chosen);
    const gone = dryRun ? chosen : await evict(changing, chosen);
    if (gone.length === 0) break;
    for (const each of gone) taken.push(each.id);
    results.push(...gone.flatMap((each) => named.get(each.id) ?? []));
    bytes = await cacheBytes(db, projectId, dryRun ? taken : []);
  }
  return { results, others, bytesBefore, bytesAfter: bytes, more };
}

/** Transactions that change something together: the first that does so says it. */
class Changes {
  #said = false;

  constructor(
    readonly db: Database,
    readonly say: (sql: Sql) => Promise<void>,
  ) {}

  async transaction<T>(work: (sql: Sql) => Promise<T>, isChange: (outcome: T) => boolean): Promise<T> {
    return await this.db.transaction(async (sql) => {
      const outcome = await work(sql);
      if (!this.#said && isChange(outcome)) await this.say(sql);
      this.#said ||= isChange(outcome);
      return outcome;
    });
  }
}

async function evict(changing: Changes, chosen: readonly EvictableResult[]): Promise<readonly EvictableResult[]> {
  const gone = new Set<string>();
  for (let at = 0; at < chosen.length; at += BATCH) {
    const versions = chosen.slice(at, at + BATCH).flatMap((each) => each.versions);
    const batch = await changing.transaction(
      (sql) => evictResults(sql, versions, 'pruned on request'),
      (evicted) => [...evicted].length > 0,
    );
    for (const version of batch) gone.add(version);
  }
  return chosen.filter(({ versions }) => versions.some((version) => gone.has(version)));
}

async function dropAll(changing: Changes, projectId: string, idleMs: number): Promise<number> {
  let dropped = 0;
  for (;;) {
    const batch = await changing.transaction(
      (sql) => dropIdle(sql, projectId, idleMs),
      (count) => count > 0,
    );
    if (batch === 0) return dropped;
    dropped += batch;
  }
}

const Named = z.object({ id: z.string(), preimage: z.string() });

async function withNames(db: Database, chosen: readonly EvictableResult[]): Promise<ReadonlyMap<string, PrunedResult>> {
  const rows = await db.query(
    Named,
    `SELECT DISTINCT ON (t.id) t.id, r.preimage::text AS preimage FROM results t
     JOIN records r ON r.project_id = t.project_id AND r.scope_id = t.scope_id AND r.result_id = t.id
     WHERE t.version = ANY ($1::bigint[]) ORDER BY t.id`,
    [chosen.flatMap(({ versions }) => versions)],
  );
  const preimages = new Map(rows.map(({ id, preimage }) => [id, z.json().parse(JSON.parse(preimage)) as Json]));
  return new Map(
    chosen.map((each) => [
      each.id,
      {
        id: each.id,
        name: operationName(preimages.get(each.id) ?? null),
        scopes: [...each.scopes],
        bytes: Math.round(each.bytes),
        costMs: each.costMs,
        uses: each.uses,
        createdAt: each.createdAt.toISOString(),
        usedAt: each.usedAt.toISOString(),
        value: valueOf(each) * MIB,
      },
    ]),
  );
}

import { leastValuable } from '#cache';
import type { ContentStore } from '#content';
import { formatBytes, type Logger, silentLogger } from '#std';
import { z } from 'zod';
import { noteSize } from './cache-growth.ts';
import { COLLECTOR_LOCK } from './collector-lock.ts';
import type { Database, Sql } from './database.ts';
import { dropIdle } from './drop-idle.ts';
import { dropImages } from './drop-images.ts';
import { dropImageSteps } from './image-steps.ts';
import { cacheBytes, evictableResults, evictResults } from './evictable-results.ts';
import { BlobSweep, type SweepLimits } from './sweep-blobs.ts';

export interface CollectorLimits extends SweepLimits {
  /** how long an image with a name is kept after its last use; without one, `retentionMs` */
  readonly imageRetentionMs: number;
  /** of each project's cache, and of all together */
  readonly projectBytes: number;
  readonly totalBytes: number;
}

export interface CollectorOptions {
  readonly db: Database;
  readonly content: ContentStore;
  readonly limits: CollectorLimits;
  readonly logger?: Logger | undefined;
}

export interface Collected {
  readonly evicted: number;
  /** blobs whose bytes went */
  readonly removed: number;
}

const CANDIDATES = 2_000;
const EVICTED = 200;
const PINS = 5_000;
const ROWS = 1_000;
/** Of each kind in one pass: what is left is for the next. */
const BATCHES = 50;
const ROUNDS = 10;
/** Down to this part of a quota, so that it is not exceeded again at once. */
const TARGET = 0.9;
const DAY_MS = 86_400_000;
/** What is made again in a moment goes when nothing has asked for it for so long; over quota, in a day. */
const IDLE_MS = 30 * DAY_MS;

/** Thrown within a batch when another process collects. */
class Busy extends Error {}

/**
 * Keeps the cache within its quotas and frees what nothing needs. Every batch is a transaction of its own, and one process
 * in the farm works at one at a time; a process that dies leaves the rest to the next.
 */
export class Collector {
  readonly #db: Database;
  readonly #limits: CollectorLimits;
  readonly #logger: Logger;
  readonly #blobs: BlobSweep;

  constructor({ db, content, limits, logger = silentLogger }: CollectorOptions) {
    this.#db = db;
    this.#limits = limits;
    this.#logger = logger;
    this.#blobs = new BlobSweep(content, limits);
  }

  /**
   * One pass. Ends early when another process is at it.
   * @throws KilnError UNAVAILABLE, UPSTREAM_UNAVAILABLE; what was done stays done
   */
  async collect(signal?: AbortSignal): Promise<Collected> {
    let evicted = 0;
    let removed = 0;
    try {
      await this.#repeat((sql) => countUses(sql), signal);
      await this.#repeat((sql) => forgetNotes(sql), signal);
      await this.#repeat((sql) => dropIdle(sql, null, IDLE_MS), signal);
      await this.#repeat((sql) => dropImages(sql, this.#limits), signal);
      await this.#repeat((sql) => dropImageSteps(sql, this.#limits.imageRetentionMs), signal);
      evicted = await this.#keepQuotas(signal);
      await this.#repeat((sql) => this.#blobs.forgetSent(sql), signal);
      await this.#repeat((sql) => this.#blobs.check(sql), signal);
      removed = await this.#repeat((sql) => this.#blobs.remove(sql, signal), signal);
      await this.#repeat((sql) => this.#blobs.forget(sql), signal);
    } catch (thrown) {
      if (!(thrown instanceof Busy)) throw thrown;
    }
    if (evicted > 0 || removed > 0) this.#logger.info('the cache was collected', { evicted, removed });
    return { evicted, removed };
  }

  /** Finds blobs that the index does not know. Reads the whole content store's list. */
  async adopt(signal?: AbortSignal): Promise<number> {
    return await this.#blobs.adopt(this.#db, signal);
  }

  async #keepQuotas(signal: AbortSignal | undefined): Promise<number> {
    const { projectBytes, totalBytes } = this.#limits;
    const projects = await this.#db.query(Project, 'SELECT id, name FROM projects ORDER BY id');
    let evicted = 0;
    for (const { id } of projects) {
      const detail = `the project's quota of ${formatBytes(projectBytes)}`;
      evicted += await this.#keepQuota({ projectId: id, limitBytes: projectBytes, detail }, signal);
    }
    const detail = `the farm's quota of ${formatBytes(totalBytes)}`;
    return evicted + (await this.#keepQuota({ projectId: null, limitBytes: totalBytes, detail }, signal));
  }

  async #keepQuota({ projectId, limitBytes, detail }: Quota, signal: AbortSignal | undefined): Promise<number> {
    let evicted = 0;
    let idleMs = DAY_MS;
    for (let round = 0; round < ROUNDS && goesOn(signal); round++) {
      const bytes = await cacheBytes(this.#db, projectId);
      if (projectId !== null) await noteSize(this.#db, projectId, bytes);
      if (bytes <= limitBytes) return evicted;
      if ((await this.#repeat((sql) => dropIdle(sql, projectId, idleMs), signal)) > 0) continue;
      const candidates = await evictableResults(this.#db, { projectId, idleMs: 0, limit: CANDIDATES });
      const victims = leastValuable(candidates, bytes - limitBytes * TARGET);
      // Nothing but what is made in a moment is left.
      if (victims.length === 0 && idleMs === 0) return evicted;
      if (victims.length === 0) idleMs = 0;
      for (let at = 0; at < victims.length && goesOn(signal); at += EVICTED) {
        const versions = victims.slice(at, at + EVICTED).flatMap((victim) => victim.versions);
        evicted += (await this.#batch((sql) => evictResults(sql, versions, detail))).size;
      }
    }
    return evicted;
  }

  /** Batch by batch until one does nothing. */
  async #repeat(work: (sql: Sql) => Promise<number>, signal: AbortSignal | undefined): Promise<number> {
    let all = 0;
    for (let batch = 0; batch < BATCHES && goesOn(signal); batch++) {
      const done = await this.#batch(work);
      if (done === 0) break;
      all += done;
    }
    return all;
  }

  async #batch<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return await this.#db.transaction(async (sql) => {
      const [lock] = await sql.query(Lock, 'SELECT pg_try_advisory_xact_lock($1) AS held', [COLLECTOR_LOCK]);
      if (lock?.held !== true) throw new Busy();
      return await work(sql);
    });
  }
}

const goesOn = (signal: AbortSignal | undefined): boolean => signal?.aborted !== true;

interface Quota {
  readonly projectId: string | null;
  readonly limitBytes: number;
  readonly detail: string;
}

const Project = z.object({ id: z.string(), name: z.string() });
const Lock = z.object({ held: z.boolean() });

/** Pins of builds that have ended become uses of what they found, a write for many hits. */
async function countUses(sql: Sql): Promise<number> {
  const dead = (table: string): string =>
    `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
       SELECT p.ctid FROM ${table} p JOIN builds b ON b.id = p.build_id
       WHERE NOT (b.state = 'running' AND b.fence = p.fence) LIMIT ${PINS}))`;
  const counted = await sql.execute(
    `WITH dead AS (${dead('result_pins')} RETURNING version, found),
       used AS (SELECT version, count(*) AS n FROM dead WHERE found GROUP BY version),
       ordered AS (SELECT r.version FROM results r JOIN used u USING (version) ORDER BY r.version FOR NO KEY UPDATE OF r),
       noted AS (UPDATE results r SET uses = r.uses + u.n, used_at = now()
                 FROM used u JOIN ordered o USING (version) WHERE r.version = u.version)
     SELECT FROM dead`,
  );
  return counted + (await sql.execute(dead('blob_pins')));
}

/** What only explains, and is old. */
async function forgetNotes(sql: Sql): Promise<number> {
  const old = (table: string, column: string): string =>
    `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM ${table} WHERE ${column} < now() - interval '30 days' LIMIT ${ROWS}))`;
  const preimages = `DELETE FROM key_preimages WHERE ctid = ANY (ARRAY(
    SELECT p.ctid FROM key_preimages p WHERE p.created_at < now() - interval '30 days' AND NOT EXISTS (
      SELECT FROM build_keys k WHERE k.project_id = p.project_id AND k.key = p.key) LIMIT ${ROWS}))`;
  const gone =
    (await sql.execute(old('record_tombstones', 'gone_at'))) +
    (await sql.execute(old('image_tags', 'resolved_at'))) +
    (await sql.execute(old('build_keys', 'kept_at'))) +
    (await sql.execute(old('reserved_results', 'reserved_at')));
  return gone + (await sql.execute(preimages));
}

import { z } from 'zod';
import {
  type CacheKey,
  type CacheRecord,
  type CacheStore,
  type ExplainedKey,
  type KeyKind,
  type LookupAnswer,
  madeAt,
  MAX_CANDIDATES,
  type OpKey,
  type Result,
  type ResultId,
} from '#cache';
import { type Descriptor, type Digest, DigestSchema } from '#oci';
import { KilnError, type Logger, silentLogger } from '#std';
import { holdFence } from './build-claims.ts';
import { buryResults } from './bury-results.ts';
import type { Claim, ScopeRef } from './claim.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';
import { endFlights } from './flights.ts';
import type { RedisLink } from './redis.ts';
import { ResultBodies } from './result-bodies.ts';
import { knowBlobs, writeResult } from './result-row.ts';
import { Wakeups } from './wakeups.ts';

export interface CacheStoreOptions {
  readonly db: Database;
  readonly redis: RedisLink;
  /** says what is read, where is written, and under which fence */
  readonly claim: Pick<Claim, 'buildId' | 'fence' | 'projectId' | 'scopes' | 'sharedScopes'>;
  readonly logger?: Logger | undefined;
}

const RecordRow = z.object({
  key: DigestSchema.transform((digest) => digest as CacheKey),
  kind: z.enum(['definition', 'content', 'trace']) satisfies z.ZodType<KeyKind>,
  projectId: z.string(),
  scopeId: z.string(),
  version: z.string(),
  confirmedAtMs: z.number(),
});
const OpRow = z.object({ op: DigestSchema.transform((digest) => digest as OpKey) });
const IndexRow = z.object({ records: z.array(RecordRow), ops: z.array(OpRow) });
const TimesRow = z.object({ started_at_ms: z.number(), finished_at_ms: z.number() });
const VersionRow = z.object({ version: z.string() });
const DeltaRow = z.object({
  diff_id: DigestSchema,
  media_type: z.string(),
  digest: DigestSchema,
  size_bytes: bigintColumn,
});

/**
 * Records in Postgres, as one build sees them. Which results a key has is always asked there, in one query; their bodies,
 * the bulk of an answer, come from Redis where it has them (see {@link ResultBodies}).
 */
export class PostgresCacheStore implements CacheStore {
  readonly #db: Database;
  readonly #claim: CacheStoreOptions['claim'];
  readonly #bodies: ResultBodies;
  readonly #wakeups: Wakeups;

  constructor({ db, redis, claim, logger = silentLogger }: CacheStoreOptions) {
    this.#db = db;
    this.#claim = claim;
    this.#bodies = new ResultBodies(db, redis, logger);
    this.#wakeups = new Wakeups(redis, logger);
  }

  async lookup(keys: readonly CacheKey[], ops: readonly OpKey[], signal?: AbortSignal): Promise<LookupAnswer> {
    signal?.throwIfAborted();
    const index = await this.#index(keys, ops);
    signal?.throwIfAborted();
    const places = new Map(index.records.map((row) => [row.version, row]));
    const bodies = await this.#bodies.read([...places.values()]);
    const records = new Map<CacheKey, CacheRecord[]>();
    for (const { key, kind, scopeId, version, confirmedAtMs } of index.records) {
      const result = bodies.get(version);
      // Forgotten since the index was read.
      if (result === undefined) continue;
      const candidates = records.get(key) ?? [];
      // The same result may stand in several scopes: the nearest counts.
      if (candidates.length >= MAX_CANDIDATES || candidates.some((known) => known.result.id === result.id)) continue;
      records.set(key, [...candidates, { key, kind, result: this.#named(result, scopeId), confirmedAtMs }]);
    }
    return { records, ops: new Set(index.ops.map(({ op }) => op)) };
  }

  async reserve(result: Result, signal?: AbortSignal): Promise<Result> {
    signal?.throwIfAborted();
    const { projectId, scopes } = this.#claim;
    const [{ id: scopeId }] = scopes;
    const [first] = await this.#db.query(
      TimesRow,
      `INSERT INTO reserved_results (project_id, scope_id, id, started_at_ms, finished_at_ms) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (project_id, scope_id, id) DO UPDATE SET id = excluded.id RETURNING started_at_ms, finished_at_ms`,
      [projectId, scopeId, result.id, result.startedAtMs, result.finishedAtMs],
    );
    // Only now: what is saved meanwhile had been reserved before.
    const [stored] = await this.#db.query(
      TimesRow,
      'SELECT started_at_ms, finished_at_ms FROM results WHERE project_id = $1 AND scope_id = $2 AND id = $3',
      [projectId, scopeId, result.id],
    );
    const times = stored ?? first;
    if (times === undefined) throw new KilnError('INTERNAL', 'a result was not reserved');
    return madeAt(result, { startedAtMs: times.started_at_ms, finishedAtMs: times.finished_at_ms });
  }

  async save(
    keys: readonly ExplainedKey[],
    result: Result,
    confirmedAtMs: number,
    signal?: AbortSignal,
  ): Promise<Result> {
    signal?.throwIfAborted();
    const { projectId, scopes } = this.#claim;
    const [{ id: scopeId }] = scopes;
    const distinct = [...new Map(keys.map((explained) => [explained.key, explained])).values()];
    const { stored, ended } = await this.#db.transaction(async (sql) => {
      await holdFence(sql, this.#claim);
      const { version, result: stored } = await writeResult(sql, projectId, scopeId, result);
      await this.#pin(sql, version, result.id);
      await sql.execute(
        `INSERT INTO records (project_id, scope_id, key, result_id, kind, op, preimage, confirmed_at_ms)
         SELECT $1, $2, k.key, $3, k.kind, k.op, k.preimage, $8
         FROM unnest($4::text[], $5::text[], $6::text[], $7::json[]) AS k (key, kind, op, preimage) ORDER BY k.key
         ON CONFLICT (project_id, scope_id, key, result_id) DO UPDATE SET version = nextval('record_versions'),
           confirmed_at_ms = greatest(records.confirmed_at_ms, excluded.confirmed_at_ms)`,
        [
          projectId,
          scopeId,
          result.id,
          distinct.map(({ key }) => key),
          distinct.map(({ kind }) => kind),
          distinct.map(({ op }) => op),
          distinct.map(({ preimage }) => JSON.stringify(preimage)),
          confirmedAtMs,
        ],
      );
      const flown = distinct.map(({ key }) => key);
      return { stored, ended: await endFlights(sql, this.#claim, flown) };
    });
    if (ended > 0) await this.#wakeups.send(this.#claim.buildId);
    return stored;
  }

  async forget(blobs: ReadonlySet<Digest>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (blobs.size === 0) return;
    const { projectId } = this.#claim;
    await this.#db.transaction(async (sql) => {
      for (const [owner, scopes] of Map.groupBy(this.#readable, (scope) => scope.projectId)) {
        const lost = await sql.query(
          VersionRow,
          // In the order in which look-ups lock them.
          `SELECT version::text FROM results WHERE project_id = $1 AND scope_id = ANY ($2::text[]) AND blobs && $3::text[]
           ORDER BY results.version FOR UPDATE`,
          [owner, scopes.map(({ id }) => id), [...blobs]],
        );
        await buryResults(sql, owner, { versions: lost.map(({ version }) => version), reason: 'lost' });
      }
      await sql.execute('DELETE FROM layer_deltas WHERE project_id = $1 AND digest = ANY ($2::text[])', [
        projectId,
        [...blobs],
      ]);
    });
  }

  async findDeltas(diffIds: readonly Digest[], signal?: AbortSignal): Promise<ReadonlyMap<Digest, Descriptor>> {
    signal?.throwIfAborted();
    if (diffIds.length === 0) return new Map();
    const rows = await this.#db.query(
      DeltaRow,
      'SELECT diff_id, media_type, digest, size_bytes FROM layer_deltas WHERE project_id = $1 AND diff_id = ANY ($2::text[])',
      [this.#claim.projectId, diffIds],
    );
    return new Map(
      rows.map(({ diff_id: diffId, media_type: mediaType, digest, size_bytes: size }) => [
        diffId,
        { mediaType, digest, size },
      ]),
    );
  }

  async saveDelta(diffId: Digest, delta: Descriptor, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await this.#db.transaction(async (sql) => {
      await holdFence(sql, this.#claim);
      await knowBlobs(sql, [delta]);
      await sql.execute(
        `INSERT INTO layer_deltas (project_id, diff_id, media_type, digest, size_bytes) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project_id, diff_id) DO UPDATE SET media_type = excluded.media_type, digest = excluded.digest,
           size_bytes = excluded.size_bytes`,
        [this.#claim.projectId, diffId, delta.mediaType, delta.digest, delta.size],
      );
    });
  }

  /** What the build reads, in this order. */
  get #readable(): readonly ScopeRef[] {
    return [...this.#claim.scopes, ...this.#claim.sharedScopes];
  }

  /** What another project made says so. */
  #named(result: Result, scopeId: string): Result {
    const shared = this.#claim.sharedScopes.find(({ id }) => id === scopeId);
    return shared === undefined ? result : { ...result, producer: { ...result.producer, scope: shared.name } };
  }

  /** What this build made is its own to use. */
  async #pin(sql: Sql, version: string, id: ResultId): Promise<void> {
    await sql.execute(
      `WITH noted AS (INSERT INTO build_results (project_id, build_id, result_id)
         SELECT project_id, coalesce(parent_id, id), $4 FROM builds WHERE id = $1 ON CONFLICT DO NOTHING)
       INSERT INTO result_pins (build_id, fence, version, found) VALUES ($1, $2, $3, false) ON CONFLICT DO NOTHING`,
      [this.#claim.buildId, this.#claim.fence, version, id],
    );
  }

  /**
   * Keys and operations in one question; records with the own scope first, within a scope the newest. What is answered is
   * pinned by the same statement: locking the rows waits for a collector that has them, and then sees that they are gone.
   */
  async #index(keys: readonly CacheKey[], ops: readonly OpKey[]): Promise<z.infer<typeof IndexRow>> {
    if (keys.length === 0 && ops.length === 0) return { records: [], ops: [] };
    const { buildId, fence } = this.#claim;
    const [row] = await this.#db.query(
      IndexRow,
      `WITH scope AS (SELECT * FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS s (project_id, id, rank)),
         found AS (
           SELECT r.key, r.kind, r.confirmed_at_ms, s.project_id, s.id AS scope_id, s.rank, -r.version AS age, t.version,
             row_number() OVER (PARTITION BY r.key, s.rank ORDER BY r.version DESC) AS place
           FROM scope s
           JOIN records r ON r.project_id = s.project_id AND r.scope_id = s.id AND r.key = ANY ($3::text[])
           JOIN results t ON t.project_id = s.project_id AND t.scope_id = s.id AND t.id = r.result_id),
         held AS MATERIALIZED (
           SELECT t.version FROM results t WHERE t.version IN (SELECT version FROM found WHERE place <= $5)
           ORDER BY t.version FOR KEY SHARE),
         pinned AS (
           INSERT INTO result_pins (build_id, fence, version, found) SELECT b.id, b.fence, h.version, true
           FROM held h JOIN builds b ON b.id = $6 AND b.fence = $7 AND b.state = 'running'
           ON CONFLICT DO NOTHING)
       SELECT
         (SELECT coalesce(json_agg(json_build_object('key', f.key, 'kind', f.kind, 'projectId', f.project_id,
                    'scopeId', f.scope_id, 'version', f.version::text, 'confirmedAtMs', f.confirmed_at_ms)
                    ORDER BY f.key, f.rank, f.age), '[]')
          FROM found f JOIN held h ON h.version = f.version WHERE f.place <= $5) AS records,
         (SELECT coalesce(json_agg(json_build_object('op', o.op)), '[]')
          FROM unnest($4::text[]) AS o (op)
          WHERE EXISTS (SELECT FROM scope s JOIN records r ON r.project_id = s.project_id AND r.scope_id = s.id AND r.op = o.op))
           AS ops`,
      [
        this.#readable.map((scope) => scope.projectId),
        this.#readable.map(({ id }) => id),
        ...[keys, ops, MAX_CANDIDATES, buildId, fence],
      ],
    );
    return row ?? { records: [], ops: [] };
  }
}

export function createCacheStore(options: CacheStoreOptions): CacheStore {
  return new PostgresCacheStore(options);
}

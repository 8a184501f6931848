import { z } from 'zod';
import { type BuildEvent, Priority, type QueuedBuild, type StepView, StoredRequest } from '#protocol';
import { type Clock, KilnError, type Logger, silentLogger, systemClock } from '#std';
import { BuildClaims } from './build-claims.ts';
import { BuildParts, type NewPart } from './build-parts.ts';
import { BuildRecovery } from './build-recovery.ts';
import { BuildRow, type StoredBuild, storedBuild, storedContext, wholeBuildColumns } from './build-row.ts';
import type { Claim, StoredContext, StoredNamedContext } from './claim.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';
import { countAccepted, countBuilds } from './count-build.ts';
import { type BuildEnd, cancelReason, endBuild, type FinalEvent } from './end-build.ts';
import { readSteps } from './fold-steps.ts';
import { type BuildPage, imageNamesOf, listBuilds } from './list-builds.ts';
import { checkReach, type Principal } from './principal.ts';
import type { ProjectIds } from './project-store.ts';
import type { RedisLink } from './redis.ts';
import { supersede, type Superseded } from './supersede.ts';
import { trustColumn } from './trust.ts';
import { Wakeups } from './wakeups.ts';

export interface NewBuild extends ProjectIds {
  /** drawn by the caller: what is sealed is bound to it */
  readonly id: string;
  readonly request: StoredRequest;
  readonly context: StoredContext;
  readonly namedContexts?: readonly StoredNamedContext[] | undefined;
  readonly sealed: Uint8Array | null;
  readonly idempotencyKey?: string | undefined;
  /** tells two requests under one idempotency key apart */
  readonly fingerprint: string;
  /** the build that this one repeats */
  readonly retryOf?: string | undefined;
}

/** A build with what its client sent beside the request. */
export interface SentBuild {
  readonly build: StoredBuild;
  readonly scopeId: string;
  readonly context: StoredContext;
  readonly namedContexts: readonly StoredNamedContext[];
}

export interface LedgerOptions {
  readonly db: Database;
  readonly redis: RedisLink;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
}

const Inserted = z.object({ id: z.string(), turn: bigintColumn });
const Existing = Inserted.extend({ fingerprint: z.string() });
const State = z.object({ state: z.string() });
/** Builds that end in one transaction. */
const ENDED_AT_ONCE = 500;

/** Every build of the farm. What is in here is accepted, and ends exactly once. */
export class BuildLedger {
  readonly #db: Database;
  readonly #claims: BuildClaims;
  readonly #recovery: BuildRecovery;
  readonly #parts: BuildParts;
  readonly #wakeups: Wakeups;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor({ db, redis, clock = systemClock, logger = silentLogger }: LedgerOptions) {
    this.#db = db;
    this.#clock = clock;
    this.#logger = logger;
    this.#wakeups = new Wakeups(redis, logger);
    this.#parts = new BuildParts(db);
    this.#claims = new BuildClaims(db, this.#wakeups);
    this.#recovery = new BuildRecovery(db, this.#wakeups, clock);
  }

  /**
   * Accepts a build, or answers with the one that was accepted under the same idempotency key.
   *
   * Its turn is by start-time fair queueing: that of the newest build in work, or the one after the project's last, whichever
   * is later. Who has sent a hundred builds sees one of each other project go between two of his own.
   * @throws KilnError CONFLICT when that one asked for something else, RATE_LIMITED when too many wait already
   */
  async create(
    build: NewBuild,
  ): Promise<{ readonly build: StoredBuild; readonly created: boolean; readonly turn: number }> {
    const { created, id, turn, superseded, waiting } = await this.#db.transaction(async (sql) => {
      // One at a time in each project: its last turn is looked up.
      await sql.execute('SELECT FROM projects WHERE id = $1 FOR NO KEY UPDATE', [build.projectId]);
      const inserted = await this.#insert(sql, build);
      if (inserted === undefined)
        return { created: false, ...(await this.#existing(sql, build)), superseded: [], waiting: [] };
      const superseded = await supersede(sql, build);
      const waiting = superseded.filter(({ state }) => state === 'queued');
      const ended: string[] = [];
      for (const { id } of waiting.splice(0, ENDED_AT_ONCE))
        await this.#endQueued(sql, id, { supersededBy: build.id, ended });
      // Those make room.
      await checkRoom(sql, build.projectId);
      await countBuilds(sql, ended);
      await countAccepted(sql, build.projectId);
      return { created: true, ...inserted, superseded, waiting };
    });
    while (waiting.length > 0) await this.#endSuperseded(build.id, waiting.splice(0, ENDED_AT_ONCE));
    for (const old of superseded) await this.#hurry(build.projectId, old.id);
    return { build: await this.get(build.projectId, id), created, turn };
  }

  /** @throws KilnError NOT_FOUND, for builds of other projects too */
  async get(projectId: string, id: string): Promise<StoredBuild> {
    const [row] = await this.#db.query(
      BuildRow,
      `SELECT ${wholeBuildColumns} FROM builds b WHERE b.project_id = $1 AND b.id = $2`,
      [projectId, id],
    );
    if (row === undefined) throw unknown(id);
    return storedBuild(row);
  }

  /** The same with the contexts that were sent. @throws KilnError NOT_FOUND */
  async sent(projectId: string, id: string): Promise<SentBuild> {
    const [row] = await this.#db.query(
      BuildRow,
      `SELECT ${wholeBuildColumns} FROM builds b WHERE b.project_id = $1 AND b.id = $2 AND b.parent_id IS NULL`,
      [projectId, id],
    );
    if (row === undefined) throw unknown(id);
    return {
      build: storedBuild(row),
      scopeId: row.scope_id,
      context: storedContext(row),
      namedContexts: row.named_contexts,
    };
  }

  /** See {@link listBuilds}. */
  async list(projectId: string, page: BuildPage): ReturnType<typeof listBuilds> {
    return await listBuilds(this.#db, projectId, page);
  }

  /** @throws KilnError NOT_FOUND, PERMISSION_DENIED when the build's scope is trusted further than the caller's */
  async checkReach(caller: Principal, id: string): Promise<void> {
    const [row] = await this.#db.query(
      z.object({ trust: trustColumn }),
      `SELECT s.trust FROM builds b JOIN scopes s ON s.project_id = b.project_id AND s.id = b.scope_id
       WHERE b.project_id = $1 AND b.id = $2`,
      [caller.projectId, id],
    );
    if (row === undefined) throw unknown(id);
    checkReach(caller, row.trust, `the build ${id} is`);
  }

  /**
   * Ends a queued build; asks a running one's builder to end it; leaves one that has ended, or has given its answer.
   * @throws KilnError NOT_FOUND
   */
  async requestCancel(projectId: string, id: string): Promise<StoredBuild> {
    await this.#db.transaction(async (sql) => {
      const [row] = await sql.query(
        State,
        `UPDATE builds SET cancel_requested_at = CASE WHEN state IN ('queued', 'running') AND result IS NULL
           THEN coalesce(cancel_requested_at, now()) ELSE cancel_requested_at END
         WHERE project_id = $1 AND id = $2 RETURNING state`,
        [projectId, id],
      );
      if (row === undefined) throw unknown(id);
      if (row.state === 'queued') await this.#endQueued(sql, id, { supersededBy: null });
    });
    await this.#tellCancelled(projectId, id);
    return await this.get(projectId, id);
  }

  /** Of many: the build is accepted, and whoever claims one of these ends it. */
  async #endSuperseded(supersededBy: string, waiting: readonly Superseded[]): Promise<void> {
    try {
      await this.#db.transaction(async (sql) => {
        const ended: string[] = [];
        for (const { id } of waiting) await this.#endQueued(sql, id, { supersededBy, ended });
        await countBuilds(sql, ended);
      });
    } catch (error) {
      this.#logger.warn('superseded builds end later', { builds: waiting.length, error });
    }
  }

  /** The build is accepted, whatever fails now: builders hear of a cancellation by their heartbeats, and its parts are found. */
  async #hurry(projectId: string, id: string): Promise<void> {
    try {
      await this.#tellCancelled(projectId, id);
    } catch (error) {
      this.#logger.warn('a superseded build hears of its end later', { buildId: id, error });
    }
  }

  async #tellCancelled(projectId: string, id: string): Promise<void> {
    await Promise.all([this.#wakeups.send(id), this.#wakeups.sendCancel(id)]);
    for (const part of await this.#parts.open(id)) await this.requestCancel(projectId, part);
  }

  /** @throws KilnError NOT_FOUND */
  async steps(projectId: string, id: string): Promise<readonly StepView[]> {
    await this.get(projectId, id);
    return await readSteps(this.#db, id);
  }

  /** Takes a queued build for a builder; null when that attempt is not to be had any more. */
  async claim(buildId: string, attempt: number, builderId: string): Promise<Claim | null> {
    return await this.#claims.claim(buildId, attempt, builderId);
  }

  /** See {@link BuildParts.create}. */
  async createPart(claim: Claim, part: NewPart): Promise<QueuedBuild> {
    return await this.#parts.create(claim, part);
  }

  /** Says that the builder lives. @throws KilnError FENCED */
  async heartbeat(claim: Claim): Promise<{ readonly cancelReason: string | null }> {
    return await this.#claims.heartbeat(claim);
  }

  /** Calls when a heartbeat may say that the build is to be cancelled, and once at the beginning. */
  onCancel({ buildId }: Claim, listener: () => void): Disposable {
    return this.#wakeups.onCancel(buildId, listener);
  }

  /** Calls when something of a build may have changed, and once at the beginning. */
  onChange(buildId: string, listener: () => void): Disposable {
    return this.#wakeups.onChange(buildId, listener);
  }

  /** @throws KilnError FENCED when the claim has been lost */
  async checkFence(claim: Claim): Promise<void> {
    await this.#claims.checkFence(claim);
  }

  /**
   * Makes events durable under the next numbers, then wakes readers. The same array given again after UNAVAILABLE is not
   * stored twice.
   * @returns number of the last
   * @throws KilnError FENCED, UNAVAILABLE
   */
  async append(claim: Claim, events: readonly BuildEvent[]): Promise<number> {
    return await this.#claims.append(claim, events);
  }

  /** Ends the build, once; harmless when it is called again after UNAVAILABLE. @throws KilnError FENCED, UNAVAILABLE */
  async finish(claim: Claim, event: FinalEvent): Promise<void> {
    await this.#claims.finish(claim, event);
  }

  /** See {@link BuildRecovery.release}. */
  async release(claim: Pick<Claim, 'buildId' | 'fence'>): Promise<void> {
    await this.#recovery.release(claim);
  }

  /** See {@link BuildRecovery.expired}. Parts whose build has ended are cancelled, too. */
  async expired(ttlMs: number): Promise<readonly QueuedBuild[]> {
    for (const { projectId, id } of await this.#parts.orphans()) await this.requestCancel(projectId, id);
    return await this.#recovery.expired(ttlMs);
  }

  /** See {@link BuildRecovery.queuedOlderThan}. */
  async queuedOlderThan(ms: number): Promise<readonly QueuedBuild[]> {
    return await this.#recovery.queuedOlderThan(ms);
  }

  /** See {@link BuildRecovery.admitted}. */
  async admitted(projectId: string): Promise<readonly QueuedBuild[]> {
    return await this.#recovery.admitted(projectId);
  }

  async #endQueued(
    sql: Sql,
    buildId: string,
    { supersededBy, ...rest }: Pick<BuildEnd, 'ended'> & { readonly supersededBy: string | null },
  ): Promise<void> {
    const event = { type: 'cancelled', atMs: this.#clock.nowMs(), reason: cancelReason(supersededBy) } as const;
    await endBuild(sql, { buildId, from: 'queued', event, ...rest });
  }

  async #insert(sql: Sql, build: NewBuild): Promise<z.infer<typeof Inserted> | undefined> {
    const { dockerfileText, ...request } = StoredRequest.parse(build.request);
    const { context } = build;
    const [inserted] = await sql.query(
      Inserted,
      `INSERT INTO builds (project_id, id, scope_id, state, request, dockerfile_text, context_digest, context_files,
         context_bytes, context_sent_bytes, named_contexts, sealed, idempotency_key, fingerprint, image_names, retry_of, priority, source_branch,
         source_commit, source_author, turn)
       VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
         greatest(
           (SELECT max(turn) FROM builds WHERE started_at IS NOT NULL),
           (SELECT max(turn) + 1 FROM builds WHERE project_id = $1 AND (state = 'queued' OR started_at IS NOT NULL)), 0))
       ON CONFLICT (project_id, idempotency_key) DO NOTHING RETURNING id, turn`,
      [
        build.projectId,
        build.id,
        build.scopeId,
        JSON.stringify(request),
        dockerfileText === undefined ? null : JSON.stringify(dockerfileText),
        context.digest,
        context.files,
        context.sizeBytes,
        context.sentBytes,
        JSON.stringify(build.namedContexts ?? []),
        build.sealed,
        build.idempotencyKey ?? null,
        build.fingerprint,
        imageNamesOf(build.request),
        build.retryOf ?? null,
        Priority.options.indexOf(request.priority) - 1,
        request.source.branch ?? null,
        request.source.commit ?? null,
        request.source.author ?? null,
      ],
    );
    return inserted;
  }

  /**
   * The build that was accepted under a key before.
   * @throws KilnError CONFLICT when that one asked for something else
   */
  async repeated(
    projectId: string,
    { idempotencyKey, fingerprint }: Pick<NewBuild, 'idempotencyKey' | 'fingerprint'>,
  ): Promise<StoredBuild | undefined> {
    if (idempotencyKey === undefined) return undefined;
    const found = await findRepeated(this.#db, { projectId, idempotencyKey, fingerprint });
    return found === undefined ? undefined : await this.get(projectId, found.id);
  }

  async #existing(sql: Sql, build: NewBuild): Promise<z.infer<typeof Inserted>> {
    const found = await findRepeated(sql, build);
    if (found !== undefined) return found;
    throw new KilnError('INTERNAL', 'a build was neither inserted nor there');
  }
}

/** @throws KilnError CONFLICT when what was accepted under the key is something else */
async function findRepeated(
  sql: Pick<Sql, 'query'>,
  { projectId, idempotencyKey, fingerprint }: Pick<NewBuild, 'projectId' | 'idempotencyKey' | 'fingerprint'>,
): Promise<z.infer<typeof Inserted> | undefined> {
  const [row] = await sql.query(
    Existing,
    'SELECT id, turn, fingerprint FROM builds WHERE project_id = $1 AND idempotency_key = $2',
    [projectId, idempotencyKey],
  );
  if (row === undefined) return undefined;
  if (row.fingerprint === fingerprint) return { id: row.id, turn: row.turn };
  throw new KilnError('CONFLICT', 'another build was asked for under this idempotency key', {
    field: 'Idempotency-Key',
    hint: 'use a new key for a new build',
  });
}

/** @throws KilnError RATE_LIMITED */
async function checkRoom(sql: Sql, projectId: string): Promise<void> {
  const [full] = await sql.query(
    z.object({ max_queued: z.int() }),
    `SELECT max_queued FROM projects p WHERE id = $1 AND max_queued < (SELECT count(*) FROM builds
       WHERE project_id = p.id AND state = 'queued' AND parent_id IS NULL)`,
    [projectId],
  );
  if (full === undefined) return;
  throw new KilnError('RATE_LIMITED', `${full.max_queued} builds of the project wait already`, {
    hint: 'wait for some of them, or cancel those that nobody needs: kiln builds --filter state=queued',
  });
}

function unknown(id: string): KilnError {
  return new KilnError('NOT_FOUND', `there is no build ${id}`, { hint: 'kiln builds lists those of the project' });
}

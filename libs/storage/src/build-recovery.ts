import { z } from 'zod';
import { type BuildFailure, BuildResult, type QueuedBuild } from '#protocol';
import { type Clock, KilnError } from '#std';
import type { Claim } from './claim.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';
import { endBuild } from './end-build.ts';
import { endFlightsOf } from './flights.ts';
import type { Wakeups } from './wakeups.ts';

/** A build whose builders die this often is what kills them. */
const MAX_LOSSES = 10;
const BATCH = 500;

const Waiting = z.object({
  id: z.string(),
  attempt: z.int(),
  turn: bigintColumn,
  part_platform: z.string().nullable(),
});
const Held = z.object({ id: z.string() });
const Lost = Held.extend({ losses: z.int(), cancel_requested: z.boolean(), result: BuildResult.nullable() });
const lostColumns = 'id, losses, cancel_requested_at IS NOT NULL AS cancel_requested, result';

const lostTooOften: BuildFailure = {
  code: 'INTERNAL',
  message: `the builder was lost ${MAX_LOSSES} times while it ran this build`,
  hint: 'a step may use more memory than the builders have; look at the log of its last attempt',
};

/** Finds builds again that the queue or a builder has lost. */
export class BuildRecovery {
  readonly #db: Database;
  readonly #wakeups: Wakeups;
  readonly #clock: Clock;

  constructor(db: Database, wakeups: Wakeups, clock: Clock) {
    this.#db = db;
    this.#wakeups = wakeups;
    this.#clock = clock;
  }

  /**
   * Takes running builds from builders that have not been heard of for `ttlMs`. While the database itself has not been up
   * for that long, nobody is late.
   */
  async expired(ttlMs: number): Promise<readonly QueuedBuild[]> {
    const { jobs, ended } = await this.#db.transaction(async (sql) => {
      const lost = await sql.query(
        Lost,
        `SELECT ${lostColumns} FROM builds
         WHERE state = 'running' AND heartbeat_at < now() - $1 * interval '1 millisecond'
           AND pg_postmaster_start_time() < now() - $1 * interval '1 millisecond'
         ORDER BY heartbeat_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
        [ttlMs, BATCH],
      );
      const ended: string[] = [];
      const jobs: QueuedBuild[] = [];
      for (const build of lost) {
        if (await this.#end(sql, build)) ended.push(build.id);
        else jobs.push(await requeue(sql, build.id, 'lost'));
      }
      return { jobs, ended };
    });
    // Readers hear of the end; who waits for a step, of its owner's death.
    for (const buildId of [...ended, ...jobs.map((job) => job.buildId)]) await this.#wakeups.send(buildId);
    return jobs;
  }

  /** Gives a build back that its builder cannot end; harmless when the claim has been lost. */
  async release(claim: Pick<Claim, 'buildId' | 'fence'>): Promise<void> {
    await this.#db.transaction(async (sql) => {
      const [held] = await sql.query(
        Lost,
        `SELECT ${lostColumns} FROM builds WHERE id = $1 AND fence = $2 AND state = 'running' FOR UPDATE`,
        [claim.buildId, claim.fence],
      );
      if (held !== undefined && !(await this.#answered(sql, held))) await requeue(sql, held.id, 'given back');
    });
    await this.#wakeups.send(claim.buildId);
  }

  /** Builds that should have a job in the queue, if they have waited for longer than `ms`. */
  async queuedOlderThan(ms: number): Promise<readonly QueuedBuild[]> {
    const rows = await this.#db.query(
      Waiting,
      `SELECT id, attempt, turn, part_platform FROM builds WHERE state = 'queued' AND queued_at < now() - $1 * interval '1 millisecond'
       ORDER BY turn, created_at LIMIT $2`,
      [ms, BATCH],
    );
    return rows.map(queued);
  }

  /** Ends a build whose answer is out: nobody runs it again. */
  async #answered(sql: Sql, { id, result }: z.infer<typeof Lost>): Promise<boolean> {
    if (result === null) return false;
    const event = { type: 'succeeded', atMs: this.#clock.nowMs(), result } as const;
    await endBuild(sql, { buildId: id, from: 'running', event });
    return true;
  }

  async #end(sql: Sql, build: z.infer<typeof Lost>): Promise<boolean> {
    const { id, losses, cancel_requested: cancelRequested } = build;
    const atMs = this.#clock.nowMs();
    const from = 'running';
    if (await this.#answered(sql, build)) return true;
    if (cancelRequested) {
      await endBuild(sql, { buildId: id, from, event: { type: 'cancelled', atMs, reason: 'cancelled on request' } });
      return true;
    }
    if (losses + 1 < MAX_LOSSES) return false;
    await endBuild(sql, { buildId: id, from, event: { type: 'failed', atMs, failure: lostTooOften } });
    return true;
  }
}

async function requeue(sql: Sql, buildId: string, why: 'lost' | 'given back'): Promise<QueuedBuild> {
  const [row] = await sql.query(
    Waiting,
    `UPDATE builds SET state = 'queued', attempt = attempt + 1, losses = losses + $2, owner = NULL, heartbeat_at = NULL,
       queued_at = now(), fence = nextval('build_fences')
     WHERE id = $1 RETURNING id, attempt, turn, part_platform`,
    [buildId, why === 'lost' ? 1 : 0],
  );
  if (row === undefined) throw new KilnError('INTERNAL', `the build ${buildId} is gone`);
  await endFlightsOf(sql, buildId);
  return queued(row);
}

function queued({ id: buildId, attempt, turn, part_platform: platform }: z.infer<typeof Waiting>): QueuedBuild {
  return platform === null ? { buildId, attempt, turn } : { buildId, attempt, turn, platform };
}

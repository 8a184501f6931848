import { z } from 'zod';
import type { BuildFailure, BuildJob } from '#protocol';
import type { Clock } from '#std';
import type { Claim } from './claim.ts';
import type { Database, Sql } from './database.ts';
import { endBuild } from './end-build.ts';
import type { Wakeups } from './wakeups.ts';

/** A build whose builders die this often is what kills them. */
const MAX_ATTEMPTS = 10;
const BATCH = 500;

const Job = z.object({ id: z.string(), attempt: z.int() });
const Lost = Job.extend({ cancel_requested: z.boolean() });

const lostTooOften: BuildFailure = {
  code: 'INTERNAL',
  message: `the builder was lost ${MAX_ATTEMPTS} times while it ran this build`,
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
  async expired(ttlMs: number): Promise<readonly BuildJob[]> {
    const { jobs, ended } = await this.#db.transaction(async (sql) => {
      const lost = await sql.query(
        Lost,
        `SELECT id, attempt, cancel_requested_at IS NOT NULL AS cancel_requested FROM builds
         WHERE state = 'running' AND heartbeat_at < now() - $1 * interval '1 millisecond'
           AND pg_postmaster_start_time() < now() - $1 * interval '1 millisecond'
         ORDER BY heartbeat_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
        [ttlMs, BATCH],
      );
      const ended: string[] = [];
      const jobs: BuildJob[] = [];
      for (const build of lost) {
        if (await this.#end(sql, build)) ended.push(build.id);
        else jobs.push(await requeue(sql, build.id));
      }
      return { jobs, ended };
    });
    for (const buildId of ended) await this.#wakeups.send(buildId);
    return jobs;
  }

  /** Gives a build back that its builder cannot end; harmless when the claim has been lost. */
  async release(claim: Pick<Claim, 'buildId' | 'fence'>): Promise<void> {
    await this.#db.transaction(async (sql) => {
      const [held] = await sql.query(
        Job,
        "SELECT id, attempt FROM builds WHERE id = $1 AND fence = $2 AND state = 'running' FOR UPDATE",
        [claim.buildId, claim.fence],
      );
      if (held !== undefined) await requeue(sql, held.id);
    });
  }

  /** Builds that should have a job in the queue, if they have waited for longer than `ms`. */
  async queuedOlderThan(ms: number): Promise<readonly BuildJob[]> {
    const rows = await this.#db.query(
      Job,
      `SELECT id, attempt FROM builds WHERE state = 'queued' AND queued_at < now() - $1 * interval '1 millisecond'
       ORDER BY queued_at LIMIT $2`,
      [ms, BATCH],
    );
    return rows.map(({ id: buildId, attempt }) => ({ buildId, attempt }));
  }

  async #end(sql: Sql, { id, attempt, cancel_requested: cancelRequested }: z.infer<typeof Lost>): Promise<boolean> {
    const atMs = this.#clock.nowMs();
    const from = 'running';
    if (cancelRequested) {
      await endBuild(sql, { buildId: id, from, event: { type: 'cancelled', atMs, reason: 'cancelled on request' } });
      return true;
    }
    if (attempt < MAX_ATTEMPTS) return false;
    await endBuild(sql, { buildId: id, from, event: { type: 'failed', atMs, failure: lostTooOften } });
    return true;
  }
}

async function requeue(sql: Sql, buildId: string): Promise<BuildJob> {
  const [row] = await sql.query(
    Job,
    `UPDATE builds SET state = 'queued', attempt = attempt + 1, owner = NULL, heartbeat_at = NULL, queued_at = now(),
       fence = nextval('build_fences')
     WHERE id = $1 RETURNING id, attempt`,
    [buildId],
  );
  return { buildId, attempt: row?.attempt ?? 1 };
}

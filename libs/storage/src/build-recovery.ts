import { z } from 'zod';
import { type BuildFailure, BuildResult, type QueuedBuild } from '#protocol';
import { type Clock, KilnError } from '#std';
import type { Claim } from './claim.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';
import { countBuilds, countLost } from './count-build.ts';
import { cancelReason, endBuild } from './end-build.ts';
import { endFlightsOf } from './flights.ts';
import type { Wakeups } from './wakeups.ts';

/** A build whose builders die this often is what kills them. */
const MAX_LOSSES = 10;
const BATCH = 500;

const Waiting = z.object({
  job_build: z.string(),
  job_attempt: z.int(),
  turn: bigintColumn,
  part_platform: z.string().nullable(),
});
/** Of `builds`: the job that brings it to a builder. */
const waitingColumns =
  'coalesce(ticket_build, id) AS job_build, coalesce(ticket_attempt, attempt) AS job_attempt, turn, part_platform';
/** What has room of the projects that run no more than so many builds at once. */
const admitted = `SELECT b.* FROM projects p CROSS JOIN LATERAL (
    SELECT count(*) AS running FROM builds r
    WHERE r.project_id = p.id AND r.state = 'running' AND r.parent_id IS NULL AND r.result IS NULL
  ) n CROSS JOIN LATERAL (
    SELECT * FROM builds q WHERE q.project_id = p.id AND q.state = 'queued' AND q.parent_id IS NULL
    ORDER BY q.priority DESC, q.created_at, q.id LIMIT greatest(p.max_running - n.running, 0)
  ) b WHERE p.max_running IS NOT NULL`;
const Held = z.object({ id: z.string() });
const Lost = Held.extend({
  losses: z.int(),
  cancel_requested: z.boolean(),
  superseded_by: z.string().nullable(),
  result: BuildResult.nullable(),
});
const lostColumns = 'id, losses, cancel_requested_at IS NOT NULL AS cancel_requested, superseded_by, result';

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
      for (const build of lost)
        if (!(await this.#end(sql, build, ended))) jobs.push(await requeue(sql, build.id, 'lost'));
      await countBuilds(sql, ended);
      await countLost(
        sql,
        lost.map(({ id }) => id),
      );
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
      `WITH waiting AS (
         (SELECT b.* FROM builds b WHERE state = 'queued' AND (parent_id IS NOT NULL OR
            project_id NOT IN (SELECT id FROM projects WHERE max_running IS NOT NULL))
            AND queued_at < now() - $1 * interval '1 millisecond' ORDER BY turn, created_at LIMIT $2)
         UNION ALL (${admitted} AND queued_at < now() - $1 * interval '1 millisecond'))
       SELECT ${waitingColumns} FROM waiting ORDER BY turn, created_at LIMIT $2`,
      [ms, BATCH],
    );
    return rows.map(queued);
  }

  /** What a project may run now that one of its builds has ended; nothing where it runs as many as there are builders for. */
  async admitted(projectId: string): Promise<readonly QueuedBuild[]> {
    const rows = await this.#db.query(Waiting, `SELECT ${waitingColumns} FROM (${admitted} AND p.id = $1) a`, [
      projectId,
    ]);
    return rows.map(queued);
  }

  /** Ends a build whose answer is out: nobody runs it again. */
  async #answered(sql: Sql, { id, result }: z.infer<typeof Lost>, ended?: string[]): Promise<boolean> {
    if (result === null) return false;
    const event = { type: 'succeeded', atMs: this.#clock.nowMs(), result } as const;
    await endBuild(sql, { buildId: id, from: 'running', event, ...(ended && { ended }) });
    return true;
  }

  async #end(sql: Sql, build: z.infer<typeof Lost>, ended: string[]): Promise<boolean> {
    const { id, losses, cancel_requested: cancelRequested, superseded_by: supersededBy } = build;
    const atMs = this.#clock.nowMs();
    const from = 'running';
    if (await this.#answered(sql, build, ended)) return true;
    if (cancelRequested) {
      await endBuild(sql, {
        buildId: id,
        from,
        event: { type: 'cancelled', atMs, reason: cancelReason(supersededBy) },
        ended,
      });
      return true;
    }
    if (losses + 1 < MAX_LOSSES) return false;
    await endBuild(sql, { buildId: id, from, event: { type: 'failed', atMs, failure: lostTooOften }, ended });
    return true;
  }
}

async function requeue(sql: Sql, buildId: string, why: 'lost' | 'given back'): Promise<QueuedBuild> {
  const [row] = await sql.query(
    Waiting,
    `UPDATE builds SET state = 'queued', attempt = attempt + 1, losses = losses + $2, owner = NULL, heartbeat_at = NULL,
       ticket_build = NULL, ticket_attempt = NULL, queued_at = now(), fence = nextval('build_fences')
     WHERE id = $1 RETURNING ${waitingColumns}`,
    [buildId, why === 'lost' ? 1 : 0],
  );
  if (row === undefined) throw new KilnError('INTERNAL', `the build ${buildId} is gone`);
  await endFlightsOf(sql, buildId);
  return queued(row);
}

function queued({
  job_build: buildId,
  job_attempt: attempt,
  turn,
  part_platform: platform,
}: z.infer<typeof Waiting>): QueuedBuild {
  return platform === null ? { buildId, attempt, turn } : { buildId, attempt, turn, platform };
}

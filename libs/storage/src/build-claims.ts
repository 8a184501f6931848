import { z } from 'zod';
import type { BuildEvent, BuildResult } from '#protocol';
import { isKilnError, KilnError } from '#std';
import { BuildRow, requestOf, storedContext, wholeBuildColumns } from './build-row.ts';
import { announceBuild } from './announce-build.ts';
import { mayTake } from './builder-registry.ts';
import type { Claim } from './claim.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';
import { cancelReason, endBuild, type FinalEvent } from './end-build.ts';
import { holdsBatch, looseBytesOf, writeEvents } from './event-journal.ts';
import { readableScopes } from './scopes.ts';
import { takeTurn } from './take-turn.ts';
import type { Wakeups } from './wakeups.ts';

const ClaimedRow = BuildRow.extend({
  fence: bigintColumn,
  sealed: z.instanceof(Buffer).nullable(),
  cancel_requested: z.boolean(),
  part: z.string().nullable(),
  part_platform: z.string().nullable(),
  parent_id: z.string().nullable(),
  begins: z.boolean(),
});
const Advanced = z.object({ last_seq: bigintColumn });
const Beat = z.object({ cancel_requested: z.boolean(), superseded_by: z.string().nullable() });
const Held = z.object({ state: z.string() });

function fenced({ buildId, fence }: Claim): KilnError {
  return new KilnError('FENCED', `the build ${buildId} is no longer held under fence ${fence}`);
}

/** @throws KilnError FENCED; holds the row, so that the claim lasts as long as the transaction */
export async function holdFence(sql: Sql, claim: Pick<Claim, 'buildId' | 'fence'>): Promise<void> {
  const [held] = await sql.query(
    Held,
    "SELECT state FROM builds WHERE id = $1 AND fence = $2 AND state = 'running' FOR SHARE",
    [claim.buildId, claim.fence],
  );
  if (held === undefined) throw new KilnError('FENCED', `the build ${claim.buildId} is no longer held`);
}

/** From here on the build can end in one way alone, whoever ends it. */
async function keepAnswer(sql: Sql, { buildId }: Claim, result: BuildResult): Promise<void> {
  await sql.execute('UPDATE builds SET result = $2, finished_at = now() WHERE id = $1', [
    buildId,
    JSON.stringify(result),
  ]);
}

/** The builder's side of the ledger: everything here is under the fence of a claim. */
export class BuildClaims {
  readonly #db: Database;
  readonly #wakeups: Wakeups;
  /** first numbers of batches whose commit was not answered */
  readonly #doubts = new WeakMap<readonly BuildEvent[], number>();

  constructor(db: Database, wakeups: Wakeups) {
    this.#db = db;
    this.#wakeups = wakeups;
  }

  async claim(buildId: string, attempt: number, builderId: string): Promise<Claim | null> {
    let announced = false;
    const claim = await this.#db.transaction(async (sql): Promise<Claim | null> => {
      if (!(await mayTake(sql, builderId))) return null;
      const id = await takeTurn(sql, { buildId, attempt });
      if (id === undefined) return null;
      const [row] = await sql.query(
        ClaimedRow,
        `UPDATE builds b SET state = 'running', owner = $2, fence = nextval('build_fences'), heartbeat_at = now(),
           started_at = coalesce(started_at, now())
         WHERE id = $1
         RETURNING ${wholeBuildColumns}, b.fence, b.sealed, b.cancel_requested_at IS NOT NULL AS cancel_requested,
           b.part::text AS part, b.part_platform, b.parent_id,
           b.started_at = now() AS begins`,
        [id, builderId],
      );
      if (row === undefined) return null;
      // Not of one that goes on elsewhere.
      if (row.begins) announced = await announceBuild(sql, id, 'build.started');
      return {
        buildId: id,
        attempt: row.attempt,
        builderId,
        fence: row.fence,
        projectId: row.project_id,
        project: row.project,
        ...(await readableScopes(sql, row.project_id, row.scope_id)),
        request: requestOf(row),
        context: storedContext(row),
        namedContexts: row.named_contexts,
        sealed: row.sealed,
        lastSeq: row.last_seq,
        cancelReason: row.cancel_requested ? cancelReason(row.superseded_by) : null,
        part:
          row.part === null
            ? null
            : { text: row.part, platform: row.part_platform ?? '', parentId: row.parent_id ?? '' },
      };
    });
    if (announced) await this.#wakeups.sendWebhooks();
    return claim;
  }

  async heartbeat(claim: Claim): Promise<{ readonly cancelReason: string | null }> {
    const [row] = await this.#db.query(
      Beat,
      `UPDATE builds SET heartbeat_at = now() WHERE id = $1 AND fence = $2 AND state = 'running'
       RETURNING cancel_requested_at IS NOT NULL AS cancel_requested, superseded_by`,
      [claim.buildId, claim.fence],
    );
    if (row === undefined) throw fenced(claim);
    return { cancelReason: row.cancel_requested ? cancelReason(row.superseded_by) : null };
  }

  async checkFence(claim: Claim): Promise<void> {
    await holdFence(this.#db, claim);
  }

  async append(claim: Claim, events: readonly BuildEvent[]): Promise<number> {
    const lastSeq = await this.#appendOnce(claim, events);
    await this.#wakeups.send(claim.buildId);
    return lastSeq;
  }

  async finish(claim: Claim, event: FinalEvent): Promise<void> {
    const { buildId, fence } = claim;
    await this.#db.transaction(async (sql) => {
      if ((await endBuild(sql, { buildId, from: 'running', fence, event })) !== undefined) return;
      // Ended under this very fence: by an earlier call whose answer was lost.
      const [ended] = await sql.query(
        Held,
        "SELECT state FROM builds WHERE id = $1 AND fence = $2 AND state NOT IN ('queued', 'running')",
        [buildId, fence],
      );
      if (ended === undefined) throw fenced(claim);
    });
    await Promise.all([this.#wakeups.send(buildId), this.#wakeups.sendWebhooks()]);
  }

  async #appendOnce(claim: Claim, events: readonly BuildEvent[]): Promise<number> {
    let firstSeq: number | undefined;
    try {
      return await this.#db.transaction(async (sql) => {
        const lastSeq = await this.#advance(sql, claim, events);
        if (lastSeq.known) return lastSeq.value;
        firstSeq = lastSeq.value - events.length + 1;
        await writeEvents(sql, { ...claim, firstSeq, events });
        for (const event of events) if (event.type === 'delivered') await keepAnswer(sql, claim, event.result);
        return lastSeq.value;
      });
    } catch (thrown) {
      if (firstSeq !== undefined && isKilnError(thrown, 'UNAVAILABLE')) this.#doubts.set(events, firstSeq);
      throw thrown;
    }
  }

  /** Draws numbers for events, unless an earlier call stored them although it failed. */
  async #advance(
    sql: Sql,
    claim: Claim,
    events: readonly BuildEvent[],
  ): Promise<{ readonly value: number; readonly known: boolean }> {
    const doubt = this.#doubts.get(events);
    if (doubt !== undefined) {
      await holdFence(sql, claim);
      if (await holdsBatch(sql, { ...claim, firstSeq: doubt, events })) {
        return { value: doubt + events.length - 1, known: true };
      }
    }
    const [row] = await sql.query(
      Advanced,
      `UPDATE builds SET last_seq = last_seq + $3, loose_bytes = loose_bytes + $4
       WHERE id = $1 AND fence = $2 AND state = 'running' RETURNING last_seq`,
      [claim.buildId, claim.fence, events.length, looseBytesOf(events)],
    );
    if (row === undefined) throw fenced(claim);
    return { value: row.last_seq, known: false };
  }
}

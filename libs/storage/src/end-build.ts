import { z } from 'zod';
import type { BuildEvent } from '#protocol';
import { bigintColumn, type Sql } from './database.ts';
import { countBuilds } from './count-build.ts';
import { writeEvents } from './event-journal.ts';
import { announceBuild } from './announce-build.ts';
import { endFlightsOf } from './flights.ts';

/** The last event of a build. */
export type FinalEvent = Extract<BuildEvent, { readonly type: 'succeeded' | 'failed' | 'cancelled' }>;

/** Why a build is cancelled, for people. */
export function cancelReason(supersededBy: string | null): string {
  return supersededBy === null ? 'cancelled on request' : `superseded by the build ${supersededBy}`;
}

export interface BuildEnd {
  readonly buildId: string;
  readonly from: string;
  readonly fence?: number;
  readonly event: FinalEvent;
  readonly ended?: string[];
}

const Ended = z.object({ project_id: z.string(), last_seq: bigintColumn });

/**
 * Ends a build: its state, its final event, its credentials' end and what webhooks are told, in the caller's transaction.
 * @param from the state that it must be in
 * @param ended where the transaction ends several builds: this one is added, for the caller to count them all at once, last
 * @param fence the claim that it must be under; without, the fence is drawn anew, so that any claim loses it
 * @returns the final event's number, or undefined when the build is not in that state
 */
export async function endBuild(
  sql: Sql,
  { buildId, from, fence, event, ended: several }: BuildEnd,
): Promise<number | undefined> {
  const result = event.type === 'succeeded' ? JSON.stringify(event.result) : null;
  const failure = event.type === 'failed' ? JSON.stringify(event.failure) : null;
  const [ended] = await sql.query(
    Ended,
    `UPDATE builds SET state = $2, last_seq = last_seq + 1, finished_at = coalesce(finished_at, now()), sealed = NULL, result = $3, failure = $4,
       fence = coalesce($6, nextval('build_fences'))
     WHERE id = $1 AND state = $5 AND ($6::bigint IS NULL OR fence = $6) RETURNING project_id, last_seq`,
    [buildId, event.type, result, failure, from, fence ?? null],
  );
  if (ended === undefined) return undefined;
  const { project_id: projectId, last_seq: seq } = ended;
  await endFlightsOf(sql, buildId);
  // What a part found and made is for its build: it stays pinned without a gap.
  await sql.execute(
    `INSERT INTO result_pins (build_id, fence, version, found)
     SELECT p.id, p.fence, x.version, false FROM builds c JOIN builds p ON p.id = c.parent_id AND p.state = 'running'
     JOIN result_pins x ON x.build_id = c.id AND x.fence = c.fence WHERE c.id = $1 ON CONFLICT DO NOTHING`,
    [buildId],
  );
  await writeEvents(sql, { projectId, buildId, firstSeq: seq, events: [event] });
  await sql.execute(
    `INSERT INTO build_results (project_id, build_id, result_id)
     SELECT DISTINCT b.project_id, coalesce(b.parent_id, b.id), s.hit->>'result' FROM steps s JOIN builds b ON b.id = s.build_id
     WHERE s.build_id = $1 AND s.hit->>'result' IS NOT NULL ON CONFLICT DO NOTHING`,
    [buildId],
  );
  await announceBuild(sql, buildId, `build.${event.type}`);
  if (several === undefined) await countBuilds(sql, [buildId]);
  else several.push(buildId);
  return seq;
}

import { z } from 'zod';
import type { BuildJob } from '#protocol';
import { bigintColumn, type Sql } from './database.ts';

const Queued = z.object({
  id: z.string(),
  project_id: z.string(),
  parent_id: z.string().nullable(),
  priority: z.int(),
  created_at: z.date(),
  turn: bigintColumn,
  attempt: z.int(),
  ticket_build: z.string().nullable(),
  ticket_attempt: z.int().nullable(),
});
type Queued = z.infer<typeof Queued>;
const columns = 'id, project_id, parent_id, priority, created_at, turn, attempt, ticket_build, ticket_attempt';

/** Of `builds b`, queued: its project runs as many as it may. */
const heldBack = `b.parent_id IS NULL AND (SELECT count(*) FROM builds r
  WHERE r.project_id = b.project_id AND r.state = 'running' AND r.parent_id IS NULL AND r.result IS NULL)
  >= (SELECT coalesce(max_running, 2147483647) FROM projects WHERE id = b.project_id)`;

/**
 * Which build a job brings to a builder; undefined when it brings none (any more), or none that may run.
 *
 * A job is a turn of its project. Where the project has a queued build of higher priority, that one gets the turn, and the build
 * that is passed over gets its place: its turn, and the job that comes with it. Of builds that are as urgent, one that was passed
 * over goes before those that came after it. What has waited for hours is as urgent as what is of a higher priority.
 */
export async function takeTurn(sql: Sql, { buildId, attempt }: BuildJob): Promise<string | undefined> {
  // One claim at a time where a limit is to be kept: each counts those before it.
  await sql.execute(
    `SELECT FROM projects WHERE id = (SELECT project_id FROM builds WHERE id = $1) AND max_running IS NOT NULL
     FOR NO KEY UPDATE`,
    [buildId],
  );
  const [own] = await sql.query(
    Queued.extend({ held_back: z.boolean() }),
    `SELECT ${columns}, ${heldBack} AS held_back FROM builds b WHERE state = 'queued'
       AND (id = $1 AND attempt = $2 AND ticket_build IS NULL OR ticket_build = $1 AND ticket_attempt = $2) FOR UPDATE`,
    [buildId, attempt],
  );
  if (own === undefined || own.held_back) return undefined;
  const better = own.parent_id === null ? await moreUrgent(sql, own) : undefined;
  if (better === undefined) return own.id;
  const ticket = [better.ticket_build ?? better.id, better.ticket_attempt ?? better.attempt] as const;
  const isOwn = ticket[0] === own.id && ticket[1] === own.attempt;
  await sql.execute('UPDATE builds SET turn = $2, ticket_build = $3, ticket_attempt = $4 WHERE id = $1', [
    own.id,
    better.turn,
    ...(isOwn ? [null, null] : ticket),
  ]);
  await sql.execute('UPDATE builds SET turn = $2, ticket_build = NULL, ticket_attempt = NULL WHERE id = $1', [
    better.id,
    own.turn,
  ]);
  return better.id;
}

/** Queued builds of each priority that are looked at: as many claims of a project side by side find one each. */
const LOOKED_AT = 50;
/** What waits for so long is as urgent as what is one priority above: nothing waits for ever while what is more urgent comes. */
const LEVEL = "interval '1 hour'";
const urgency = (of: string): string =>
  `${of}.priority + floor(extract(epoch FROM now() - ${of}.created_at) / extract(epoch FROM ${LEVEL}))`;

/** One that another builder is about to take is passed by. */
async function moreUrgent(sql: Sql, own: Queued): Promise<Queued | undefined> {
  const [found] = await sql.query(
    Queued,
    `SELECT ${columns} FROM builds q
     WHERE q.state = 'queued' AND q.id IN (
       SELECT o.id FROM (VALUES (-1), (0), (1)) AS each (priority) CROSS JOIN LATERAL (
         SELECT id FROM builds WHERE project_id = $1 AND state = 'queued' AND parent_id IS NULL AND priority = each.priority
         ORDER BY created_at, id LIMIT ${LOOKED_AT}) o)
     AND (SELECT ${urgency('q')} > ${urgency('own')}
         OR ${urgency('q')} = ${urgency('own')} AND q.priority >= own.priority AND q.ticket_build IS NOT NULL
           AND q.created_at < own.created_at
       FROM builds own WHERE own.id = $2)
     ORDER BY ${urgency('q')} DESC, q.priority DESC, q.created_at, q.id LIMIT 1 FOR UPDATE OF q SKIP LOCKED`,
    [own.project_id, own.id],
  );
  return found;
}

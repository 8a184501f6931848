import { z } from 'zod';
import { type BuildHookEvent, BuildSource } from '#protocol';
import { BuildRow, buildColumns } from './build-row.ts';
import type { Sql } from './database.ts';

const Id = z.object({ id: z.string() });
/** Its addresses may have credentials that only their own hosts know as such. */
const toldSource = BuildSource.pick({ branch: true, commit: true, author: true, pullRequest: true }).strip();

/**
 * Puts down what the project's webhooks are told of a build, in the transaction that changes its state: once that is committed
 * it is sent, whatever becomes of this process. Of parts nobody is told.
 * @returns whether anybody is
 */
export async function announceBuild(sql: Sql, buildId: string, event: BuildHookEvent): Promise<boolean> {
  // Held, so that one that is removed or disabled meanwhile is so after this, and takes with it what is put down here.
  const hooks = await sql.query(
    Id,
    `SELECT w.id FROM webhooks w JOIN builds b ON b.project_id = w.project_id
     WHERE b.id = $1 AND b.parent_id IS NULL AND w.enabled AND $2 = ANY (w.events) ORDER BY w.id FOR SHARE OF w`,
    [buildId, event],
  );
  if (hooks.length === 0) return false;
  const [row] = await sql.query(BuildRow, `SELECT ${buildColumns} FROM builds b WHERE b.id = $1`, [buildId]);
  if (row === undefined) return false;
  await insertDeliveries(sql, {
    projectId: row.project_id,
    webhookIds: hooks.map(({ id }) => id),
    event,
    buildId,
    data: toldOf(row),
  });
  return true;
}

/** What is public of a build in its project: no build args, no secrets, no log. */
function toldOf({ result, failure, request, ...row }: BuildRow) {
  return {
    id: row.id,
    project: row.project,
    scope: row.scope,
    state: row.state,
    source: toldSource.parse(request.source),
    names: result?.names ?? [],
    digest: result?.digest ?? null,
    steps: result?.steps ?? null,
    savedMs: result?.savedMs ?? null,
    error: failure === null ? null : { code: failure.code, message: failure.message },
    supersededBy: row.superseded_by,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}

export interface NewDeliveries {
  readonly projectId: string;
  readonly webhookIds: readonly string[];
  readonly event: string;
  readonly buildId: string | null;
  readonly data: object;
}

/** One for each of the webhooks, due at once. @returns their ids */
export async function insertDeliveries(sql: Sql, told: NewDeliveries): Promise<readonly string[]> {
  const made = await sql.query(
    Id,
    `INSERT INTO webhook_deliveries (project_id, webhook_id, id, event, build_id, data)
     SELECT $1, webhook, 'msg_' || replace(gen_random_uuid()::text, '-', ''), $3, $4, $5 FROM unnest($2::text[]) AS webhook
     RETURNING id`,
    [told.projectId, told.webhookIds, told.event, told.buildId, JSON.stringify(told.data)],
  );
  return made.map(({ id }) => id);
}

import { BuildHookEvent, WebhookAttempt, type WebhookDelivery, WebhookEvent, type WebhookView } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import { bigintColumn, type Sql } from './database.ts';
import { checkReach, type Principal } from './principal.ts';
import { trustColumn } from './trust.ts';

export const WebhookRow = z.object({
  id: z.string(),
  name: z.string().nullable(),
  url: z.string(),
  events: z.array(BuildHookEvent),
  trust: trustColumn,
  enabled: z.boolean(),
  disabled_reason: z.string().nullable(),
  failing_since: z.date().nullable(),
  old_until: z.date().nullable(),
  created_at: z.date(),
  updated_at: z.date(),
});
export const webhookColumns = `id, name, url, events, trust, enabled, disabled_reason, failing_since,
  CASE WHEN old_until > now() THEN old_until END AS old_until, created_at, updated_at`;

export const webhookView = ({
  disabled_reason: disabledReason,
  failing_since,
  old_until,
  created_at,
  updated_at,
  ...row
}: z.infer<typeof WebhookRow>): WebhookView => ({
  ...row,
  disabledReason,
  failingSince: failing_since?.toISOString() ?? null,
  oldSecretUntil: old_until?.toISOString() ?? null,
  createdAt: created_at.toISOString(),
  updatedAt: updated_at.toISOString(),
});

export const DeliveryRow = z.object({
  id: z.string(),
  number: bigintColumn,
  event: WebhookEvent,
  build_id: z.string().nullable(),
  state: z.enum(['pending', 'delivered', 'failed']),
  attempts: z.array(WebhookAttempt),
  next_at: z.date(),
  created_at: z.date(),
  ended_at: z.date().nullable(),
});
export const deliveryColumns = 'id, number, event, build_id, state, attempts, next_at, created_at, ended_at';

export const deliveryView = (row: z.infer<typeof DeliveryRow>): WebhookDelivery => ({
  id: row.id,
  event: row.event,
  buildId: row.build_id,
  state: row.state,
  createdAt: row.created_at.toISOString(),
  nextAt: row.state === 'pending' ? row.next_at.toISOString() : null,
  endedAt: row.ended_at?.toISOString() ?? null,
  attempts: row.attempts,
});

/** What the secret of a webhook is sealed for. */
export const secretPurpose = (projectId: string, id: string): string => `webhook:${projectId}:${id}`;

/** @throws KilnError NOT_FOUND */
export async function getWebhook(sql: Sql, projectId: string, id: string, lock: '' | 'FOR UPDATE' | 'FOR SHARE' = '') {
  const [row] = await sql.query(
    WebhookRow,
    `SELECT ${webhookColumns} FROM webhooks WHERE project_id = $1 AND id = $2 ${lock}`,
    [projectId, id],
  );
  if (row === undefined) throw new KilnError('NOT_FOUND', `there is no webhook ${JSON.stringify(id)}`);
  return row;
}

/** One that the caller decides over, held. @throws KilnError NOT_FOUND, PERMISSION_DENIED for one that is trusted further */
export async function ownWebhook(sql: Sql, caller: Principal, id: string, lock: 'FOR UPDATE' | 'FOR SHARE') {
  const row = await getWebhook(sql, caller.projectId, id, lock);
  checkReach(caller, row.trust, 'the webhook is');
  return row;
}

import { type DeliveryVerdict, type LeasedDelivery, type TakeOptions, WebhookAttempt } from '#protocol';
import { type Logger, silentLogger, unseal } from '#std';
import { z } from 'zod';
import { audit } from './audit-log.ts';
import type { Database, Sql } from './database.ts';
import type { RedisLink } from './redis.ts';
import { Wakeups } from './wakeups.ts';
import { secretPurpose } from './webhook-row.ts';

const MAX_ATTEMPTS = 20;
const KEPT = '30 days';
const KEPT_PER_WEBHOOK = 1_000;
/** Of one webhook; the oldest of more fail. */
const MAX_WAITING = 10_000;

const DueRow = z.object({
  id: z.string(),
  project_id: z.string(),
  webhook_id: z.string(),
  lease: z.string(),
  url: z.string(),
  sealed: z.instanceof(Buffer),
  old_sealed: z.instanceof(Buffer).nullable(),
  event: z.string(),
  created_at: z.date(),
  build_id: z.string().nullable(),
  data: z.record(z.string(), z.json()),
  tries: z.int(),
});
const Concerned = z.object({ url: z.string(), failing_since: z.date().nullable(), tired: z.boolean() });
type Concerned = z.infer<typeof Concerned>;
const Owner = z.object({ project_id: z.string(), team_id: z.string() });
/** Whether one more try that fails is one too many. */
const TIRED = `($2 <> 'delivered' AND coalesce(failing_since < now() - $3::float8 * interval '1 millisecond', false))`;
const Attempts = z.object({ attempts: z.array(WebhookAttempt) });

export interface WebhookOutboxOptions {
  readonly db: Database;
  readonly redis: RedisLink;
  /** of the farm */
  readonly key: Uint8Array;
  readonly logger?: Logger | undefined;
  /** a webhook of which every try has failed for so long is disabled; never where it is not said */
  readonly disableAfterMs?: number | undefined;
}

/** What has to be delivered: each to one process at a time, until it is delivered or all retries are used up. */
export class WebhookOutbox {
  readonly #db: Database;
  readonly #key: Uint8Array;
  readonly #wakeups: Wakeups;
  readonly #disableAfterMs: number | undefined;

  constructor({ db, redis, key, logger = silentLogger, disableAfterMs }: WebhookOutboxOptions) {
    this.#disableAfterMs = disableAfterMs;
    this.#db = db;
    this.#key = key;
    this.#wakeups = new Wakeups(redis, logger);
  }

  /**
   * Deliveries that are due, `limit` at most, and no more of a webhook than make `perWebhook` at work (nearly: two processes may
   * take at the same moment). However many are due, no more than these are looked at of each webhook.
   */
  async take({ limit, perWebhook, leaseMs }: TakeOptions): Promise<readonly LeasedDelivery[]> {
    const rows = await this.#db.query(
      DueRow,
      `WITH working AS (
         SELECT webhook_id, count(*) AS n FROM webhook_deliveries
         WHERE state = 'pending' AND lease IS NOT NULL AND next_at > now() GROUP BY webhook_id
       ), due AS (
         SELECT d.id, coalesce(w.n, 0) + row_number() OVER (PARTITION BY d.webhook_id ORDER BY d.next_at, d.number) AS place
         FROM webhooks h LEFT JOIN working w ON w.webhook_id = h.id
         CROSS JOIN LATERAL (SELECT id, webhook_id, next_at, number FROM webhook_deliveries
           WHERE webhook_id = h.id AND state = 'pending' AND next_at <= now() ORDER BY next_at, number LIMIT $2) d
       ), taken AS (
         SELECT d.id FROM webhook_deliveries d JOIN due USING (id)
         WHERE due.place <= $2 AND d.state = 'pending' AND d.next_at <= now()
         ORDER BY due.place, d.next_at LIMIT $1 FOR UPDATE OF d SKIP LOCKED
       )
       UPDATE webhook_deliveries d SET lease = gen_random_uuid()::text, next_at = now() + $3 * interval '1 millisecond'
       FROM taken, webhooks w WHERE d.id = taken.id AND w.id = d.webhook_id
       RETURNING d.id, d.project_id, d.webhook_id, d.lease, w.url, w.sealed,
         CASE WHEN w.old_until > now() THEN w.old_sealed END AS old_sealed, d.event, d.created_at, d.build_id, d.data, d.tries`,
      [limit, perWebhook, leaseMs],
    );
    return rows.map(
      ({ sealed, old_sealed: oldSealed, project_id, webhook_id: webhookId, created_at, build_id, ...row }) => ({
        ...row,
        webhookId,
        createdAt: created_at,
        buildId: build_id,
        secrets: () =>
          [sealed, oldSealed].flatMap((each) =>
            each === null ? [] : [unseal(this.#key, secretPurpose(project_id, webhookId), each).toString('utf8')],
          ),
      }),
    );
  }

  /** Puts down what came of a try, under its lease. Harmless when that is another's by now. */
  async settle(delivery: LeasedDelivery, attempt: WebhookAttempt, came: DeliveryVerdict): Promise<void> {
    const { id, lease, webhookId } = delivery;
    await this.#db.transaction(async (sql) => {
      // Before the delivery, as everybody does who wants both.
      const hook = await this.#holdConcerned(sql, webhookId, came.kind);
      const [held] = await sql.query(
        Attempts,
        "SELECT attempts FROM webhook_deliveries WHERE id = $1 AND lease = $2 AND state = 'pending' FOR UPDATE",
        [id, lease],
      );
      if (held === undefined) return;
      const hasMoved = came.kind === 'gone' && hook !== undefined && hook.url !== delivery.url;
      const verdict: DeliveryVerdict = hasMoved ? { kind: 'retry', afterMs: 0 } : came;
      const retries = verdict.kind === 'retry' && hook?.tired !== true;
      await sql.execute(
        `UPDATE webhook_deliveries SET state = $2, attempts = $3, tries = tries + 1, lease = NULL,
           next_at = now() + $4 * interval '1 millisecond', ended_at = CASE WHEN $2 = 'pending' THEN NULL ELSE now() END
         WHERE id = $1`,
        [
          id,
          retries ? 'pending' : verdict.kind === 'delivered' ? 'delivered' : 'failed',
          JSON.stringify([...held.attempts, attempt].slice(-MAX_ATTEMPTS)),
          retries ? verdict.afterMs : 0,
        ],
      );
      if (hook === undefined) return;
      await sql.execute(
        'UPDATE webhooks SET failing_since = CASE WHEN $2 AND enabled THEN coalesce(failing_since, now()) END WHERE id = $1',
        [webhookId, verdict.kind !== 'delivered'],
      );
      if (verdict.kind === 'gone') await disable(sql, webhookId, `${attempt.error ?? 'gone'} at ${attempt.at}`);
      else if (hook.tired) await disable(sql, webhookId, tiredReason(hook, attempt));
    });
  }

  /** The webhook of a try, where what came of it changes more than the delivery. */
  async #holdConcerned(sql: Sql, id: string, kind: DeliveryVerdict['kind']): Promise<Concerned | undefined> {
    const [hook] = await sql.query(
      Concerned,
      `SELECT url, failing_since, ${TIRED} AS tired FROM webhooks WHERE id = $1 AND CASE $2
         WHEN 'gone' THEN true
         WHEN 'delivered' THEN failing_since IS NOT NULL
         ELSE enabled AND (failing_since IS NULL OR ${TIRED}) END FOR UPDATE`,
      [id, kind, this.#disableAfterMs ?? null],
    );
    return hook;
  }

  /** Of a try that was broken off: it is due again. */
  async giveBack({ id, lease }: LeasedDelivery): Promise<void> {
    await this.#db.execute(
      "UPDATE webhook_deliveries SET lease = NULL, next_at = now() WHERE id = $1 AND lease = $2 AND state = 'pending'",
      [id, lease],
    );
  }

  onMore(listener: () => void): Disposable {
    return this.#wakeups.onWebhooks(listener);
  }

  /** Forgets what ended long ago or has many after it; the oldest of too many that wait fail. */
  async sweep(): Promise<void> {
    await this.#db.execute(
      `UPDATE webhook_deliveries SET state = 'failed', ended_at = now(), lease = NULL WHERE state = 'pending' AND id IN (
         SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY webhook_id ORDER BY number DESC) AS place
           FROM webhook_deliveries WHERE state = 'pending') waiting WHERE place > $1)`,
      [MAX_WAITING],
    );
    await this.#db.execute(
      `DELETE FROM webhook_deliveries WHERE state <> 'pending' AND (ended_at < now() - interval '${KEPT}' OR id IN (
         SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY webhook_id ORDER BY number DESC) AS place
           FROM webhook_deliveries WHERE state <> 'pending') ended WHERE place > $1))`,
      [KEPT_PER_WEBHOOK],
    );
  }
}

/** Of a webhook that is held and disabled: nothing waits for it any more. */
export async function failWaiting(sql: Sql, webhookId: string): Promise<void> {
  await sql.execute(
    "UPDATE webhook_deliveries SET state = 'failed', ended_at = now(), lease = NULL WHERE webhook_id = $1 AND state = 'pending'",
    [webhookId],
  );
}

const tiredReason = ({ failing_since: since }: Concerned, { error }: WebhookAttempt): string =>
  `every try has failed since ${since?.toISOString()}: ${error ?? 'no answer'}`;

async function disable(sql: Sql, webhookId: string, reason: string): Promise<void> {
  const [owner] = await sql.query(
    Owner,
    `UPDATE webhooks w SET enabled = false, disabled_reason = $2, updated_at = now() FROM projects p
     WHERE w.id = $1 AND p.id = w.project_id RETURNING w.project_id, p.team_id`,
    [webhookId, reason],
  );
  if (owner === undefined) return;
  await failWaiting(sql, webhookId);
  const farm = { tokenId: null, member: null, projectId: owner.project_id, teamId: owner.team_id };
  await audit(sql, farm, { action: 'webhook.disable', target: webhookId, detail: { reason } });
}

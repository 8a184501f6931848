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
const Failing = z.object({ failing_since: z.date() });
const Owner = z.object({ project_id: z.string(), team_id: z.string() });
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
  async settle(delivery: LeasedDelivery, attempt: WebhookAttempt, verdict: DeliveryVerdict): Promise<void> {
    const { id, lease, webhookId } = delivery;
    await this.#db.transaction(async (sql) => {
      const failing = await this.#noteFailing(sql, webhookId, verdict.kind !== 'delivered');
      // Before the delivery, as everybody does who wants both.
      if (verdict.kind === 'gone' || failing !== undefined)
        await sql.execute('SELECT 1 FROM webhooks WHERE id = $1 FOR UPDATE', [webhookId]);
      const [held] = await sql.query(
        Attempts,
        "SELECT attempts FROM webhook_deliveries WHERE id = $1 AND lease = $2 AND state = 'pending' FOR UPDATE",
        [id, lease],
      );
      if (held === undefined) return;
      const retries = verdict.kind === 'retry' && failing === undefined;
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
      if (verdict.kind === 'gone') await disable(sql, webhookId, `${attempt.error ?? 'gone'} at ${attempt.at}`);
      else if (failing !== undefined)
        await disable(
          sql,
          webhookId,
          `every try has failed since ${failing.toISOString()}: ${attempt.error ?? 'no answer'}`,
        );
    });
  }

  /** Notes whether a try failed. @returns since when all have, where that is so long that the webhook is to be disabled */
  async #noteFailing(sql: Sql, webhookId: string, failed: boolean): Promise<Date | undefined> {
    if (!failed) {
      const ended = 'UPDATE webhooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL';
      await sql.execute(ended, [webhookId]);
      return undefined;
    }
    const began = 'UPDATE webhooks SET failing_since = now() WHERE id = $1 AND failing_since IS NULL AND enabled';
    await sql.execute(began, [webhookId]);
    if (this.#disableAfterMs === undefined) return undefined;
    const [row] = await sql.query(
      Failing,
      "SELECT failing_since FROM webhooks WHERE id = $1 AND enabled AND failing_since < now() - $2 * interval '1 millisecond'",
      [webhookId, this.#disableAfterMs],
    );
    return row?.failing_since;
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

import type { WebhookDelivery, WebhookDeliveryList, WebhookDeliveryQuery } from '#protocol';
import { KilnError, type Logger, silentLogger } from '#std';
import { insertDeliveries } from './announce-build.ts';
import { audit } from './audit-log.ts';
import type { Database, Sql } from './database.ts';
import type { Principal } from './principal.ts';
import type { RedisLink } from './redis.ts';
import { Wakeups } from './wakeups.ts';
import { deliveryColumns, DeliveryRow, deliveryView, getWebhook, ownWebhook } from './webhook-row.ts';

/** What the receivers of a project's webhooks were told, and what they are told on request. */
export class WebhookDeliveries {
  readonly #db: Database;
  readonly #wakeups: Wakeups;

  constructor(db: Database, redis: RedisLink, logger: Logger = silentLogger) {
    this.#db = db;
    this.#wakeups = new Wakeups(redis, logger);
  }

  /** The newest first. @throws KilnError NOT_FOUND */
  async list(
    { projectId }: Pick<Principal, 'projectId'>,
    webhookId: string,
    { limit, cursor }: WebhookDeliveryQuery,
  ): Promise<WebhookDeliveryList> {
    await getWebhook(this.#db, projectId, webhookId);
    const rows = await this.#db.query(
      DeliveryRow,
      `SELECT ${deliveryColumns} FROM webhook_deliveries
       WHERE project_id = $1 AND webhook_id = $2 AND ($3::bigint IS NULL OR number < $3) ORDER BY number DESC LIMIT $4`,
      [projectId, webhookId, cursor ?? null, limit + 1],
    );
    const shown = rows.slice(0, limit);
    const last = shown.at(-1);
    return {
      deliveries: shown.map(deliveryView),
      next: rows.length > limit && last !== undefined ? String(last.number) : null,
    };
  }

  /** Sends a `ping`. @throws KilnError NOT_FOUND, CONFLICT for a webhook that is disabled, PERMISSION_DENIED for one that is trusted further */
  async ping(caller: Principal, webhookId: string): Promise<WebhookDelivery> {
    const { projectId, project } = caller;
    const made = await this.#db.transaction(async (sql) => {
      await checkEnabled(sql, caller, webhookId);
      const data = { webhook: webhookId, project };
      const told = { projectId, webhookIds: [webhookId], event: 'ping', buildId: null, data };
      const [id = ''] = await insertDeliveries(sql, told);
      await audit(sql, caller, { action: 'webhook.ping', target: webhookId });
      return await getDelivery(sql, { projectId, webhookId, id });
    });
    await this.#wakeups.sendWebhooks();
    return deliveryView(made);
  }

  /**
   * Sends it anew, under its own id, with all retries; one that waits is tried at once.
   * @throws KilnError NOT_FOUND, CONFLICT for a webhook that is disabled, PERMISSION_DENIED for one that is trusted further
   */
  async redeliver(caller: Principal, webhookId: string, id: string): Promise<WebhookDelivery> {
    const { projectId } = caller;
    const again = await this.#db.transaction(async (sql) => {
      await checkEnabled(sql, caller, webhookId);
      // What is being tried at this moment is what was asked for.
      await sql.execute(
        `UPDATE webhook_deliveries SET state = 'pending', ended_at = NULL, tries = 0, next_at = now(), lease = NULL
         WHERE project_id = $1 AND webhook_id = $2 AND id = $3 AND NOT (state = 'pending' AND lease IS NOT NULL AND next_at > now())`,
        [projectId, webhookId, id],
      );
      const delivery = await getDelivery(sql, { projectId, webhookId, id });
      await audit(sql, caller, { action: 'webhook.redeliver', target: webhookId, detail: { delivery: id } });
      return delivery;
    });
    await this.#wakeups.sendWebhooks();
    return deliveryView(again);
  }
}

async function checkEnabled(sql: Sql, caller: Principal, id: string): Promise<void> {
  const { enabled } = await ownWebhook(sql, caller, id, 'FOR SHARE');
  if (!enabled)
    throw new KilnError('CONFLICT', 'the webhook is disabled', { hint: 'PATCH it with {"enabled": true} first' });
}

interface DeliveryId {
  readonly projectId: string;
  readonly webhookId: string;
  readonly id: string;
}

async function getDelivery(sql: Sql, { projectId, webhookId, id }: DeliveryId) {
  const [row] = await sql.query(
    DeliveryRow,
    `SELECT ${deliveryColumns} FROM webhook_deliveries WHERE project_id = $1 AND webhook_id = $2 AND id = $3`,
    [projectId, webhookId, id],
  );
  if (row === undefined) throw new KilnError('NOT_FOUND', `there is no delivery ${JSON.stringify(id)}`);
  return row;
}

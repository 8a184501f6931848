import type { CreatedWebhook, WebhookChange, WebhookRequest, WebhookView } from '#protocol';
import { KilnError, type Random, randomId, seal, systemRandom } from '#std';
import { audit } from './audit-log.ts';
import type { Database } from './database.ts';
import type { Principal } from './principal.ts';
import { rankOf } from './trust.ts';
import { failWaiting } from './webhook-outbox.ts';
import { getWebhook, ownWebhook, secretPurpose, webhookColumns, WebhookRow, webhookView } from './webhook-row.ts';

const ID_LENGTH = 16;
const SECRET_BYTES = 32;
const MAX_WEBHOOKS = 20;
/** How long the secret before the last change is signed with, too. */
const OLD_SECRET = '24 hours';

/** Whom projects tell of their builds. Secrets are sealed, and bound to project and webhook. */
export class WebhookStore {
  readonly #db: Database;
  readonly #key: Uint8Array;
  readonly #random: Random;

  /** @param key of the farm */
  constructor(db: Database, key: Uint8Array, random: Random = systemRandom) {
    this.#db = db;
    this.#key = key;
    this.#random = random;
  }

  async list({ projectId }: Pick<Principal, 'projectId'>): Promise<readonly WebhookView[]> {
    const rows = await this.#db.query(
      WebhookRow,
      `SELECT ${webhookColumns} FROM webhooks WHERE project_id = $1 ORDER BY created_at, id LIMIT $2`,
      [projectId, MAX_WEBHOOKS],
    );
    return rows.map(webhookView);
  }

  /** @throws KilnError NOT_FOUND */
  async get({ projectId }: Pick<Principal, 'projectId'>, id: string): Promise<WebhookView> {
    return webhookView(await getWebhook(this.#db, projectId, id));
  }

  /** The secret is in this answer and in none after it. @throws KilnError LIMIT_EXCEEDED */
  async create(caller: Principal, request: WebhookRequest): Promise<CreatedWebhook> {
    const { projectId } = caller;
    const id = randomId(this.#random, ID_LENGTH);
    const secret = request.secret ?? `whsec_${Buffer.from(this.#random(SECRET_BYTES)).toString('base64')}`;
    return await this.#db.transaction(async (sql) => {
      // One after the other, so that none is one too many.
      await sql.execute('SELECT 1 FROM projects WHERE id = $1 FOR NO KEY UPDATE', [projectId]);
      if ((await sql.execute('SELECT 1 FROM webhooks WHERE project_id = $1', [projectId])) >= MAX_WEBHOOKS)
        throw new KilnError('LIMIT_EXCEEDED', `the project has ${MAX_WEBHOOKS} webhooks already`);
      await sql.execute(
        'INSERT INTO webhooks (project_id, id, name, url, events, trust, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7)',
        [
          ...[projectId, id, request.name ?? null, request.url, request.events, rankOf(caller.trust)],
          this.#seal(projectId, id, secret),
        ],
      );
      const detail = { origin: new URL(request.url).origin, events: request.events };
      await audit(sql, caller, { action: 'webhook.create', target: id, detail });
      return { ...webhookView(await getWebhook(sql, projectId, id)), secret };
    });
  }

  /**
   * Changes what is said of it. What waits for one that is disabled has failed. Of secrets the last one holds for a day beside
   * the new one; whoever wants it to end at once changes it twice.
   * @throws KilnError NOT_FOUND, PERMISSION_DENIED for one that is trusted further
   */
  async change(caller: Principal, id: string, { secret, ...change }: WebhookChange): Promise<WebhookView> {
    const { projectId } = caller;
    return await this.#db.transaction(async (sql) => {
      const before = await ownWebhook(sql, caller, id, 'FOR UPDATE');
      const after = { ...before, ...change };
      await sql.execute(
        `UPDATE webhooks SET name = $3, url = $4, events = $5, enabled = $6, sealed = coalesce($7, sealed),
           old_sealed = CASE WHEN $7::bytea IS NULL THEN old_sealed ELSE sealed END,
           old_until = CASE WHEN $7::bytea IS NULL THEN old_until ELSE now() + interval '${OLD_SECRET}' END,
           disabled_reason = CASE WHEN $6 = enabled THEN disabled_reason END,
           failing_since = CASE WHEN $6 = enabled AND $4 = url AND $7::bytea IS NULL THEN failing_since END, updated_at = now()
         WHERE project_id = $1 AND id = $2`,
        [
          ...[projectId, id, after.name, after.url, after.events, after.enabled],
          secret === undefined ? null : this.#seal(projectId, id, secret),
        ],
      );
      if (!after.enabled) await failWaiting(sql, id);
      const { url, ...told } = change;
      const detail = {
        ...told,
        ...(url === undefined ? {} : { origin: new URL(url).origin }),
        ...(secret === undefined ? {} : { secret: 'another' }),
      };
      await audit(sql, caller, { action: 'webhook.change', target: id, detail });
      return webhookView(await getWebhook(sql, projectId, id));
    });
  }

  /** What waits for it, and its log, go with it. @throws KilnError NOT_FOUND, PERMISSION_DENIED for one that is trusted further */
  async remove(caller: Principal, id: string): Promise<void> {
    await this.#db.transaction(async (sql) => {
      const { url } = await ownWebhook(sql, caller, id, 'FOR UPDATE');
      await sql.execute('DELETE FROM webhooks WHERE project_id = $1 AND id = $2', [caller.projectId, id]);
      await audit(sql, caller, { action: 'webhook.remove', target: id, detail: { origin: new URL(url).origin } });
    });
  }

  #seal(projectId: string, id: string, secret: string): Buffer {
    return seal(this.#key, secretPurpose(projectId, id), Buffer.from(secret), this.#random);
  }
}

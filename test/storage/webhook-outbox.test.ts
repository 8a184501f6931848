import { systemRandom } from '#std';
import { AuditLog, openDatabase, WebhookDeliveries, WebhookOutbox, WebhookStore, type Principal } from '#storage';
import { WebhookRequest } from '#protocol';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { claimBuild, startStorage, type Storage } from './farm.ts';

const key = systemRandom(32);
const attempt = { at: new Date(0).toISOString(), status: 500, durationMs: 1, response: '', error: 'status 500' };
const many = { limit: 100, perWebhook: 100, leaseMs: 60_000 };

let storage: Storage;
let outbox: WebhookOutbox;
let store: WebhookStore;
let caller: Principal;
beforeAll(async () => {
  storage = await startStorage();
  outbox = new WebhookOutbox({ db: storage.db, redis: storage.link, key });
  store = new WebhookStore(storage.db, key);
  caller = {
    ...(await storage.projects.ensure('default', 'main')),
    ...{ project: 'default', scope: 'main', trust: 'protected', permissions: ['admin'] },
    ...{ tokenId: null, member: null, expiresAt: null },
  };
});
afterAll(() => storage[Symbol.asyncDispose]());
beforeEach(async () => void (await storage.db.execute('DELETE FROM webhooks')));

const hook = async (): Promise<string> =>
  (await store.create(caller, WebhookRequest.parse({ url: 'https://ci.example.com' }))).id;
const fill = async (webhookId: string, count: number, state = 'pending'): Promise<number> =>
  await storage.db.execute(
    `INSERT INTO webhook_deliveries (project_id, webhook_id, id, event, data, state, ended_at)
     SELECT $1, $2, $2 || n, 'ping', '{}', $4, CASE WHEN $4 <> 'pending' THEN now() END FROM generate_series(1, $3) AS n`,
    [caller.projectId, webhookId, count, state],
  );
async function states(webhookId: string): Promise<Readonly<Record<string, number>>> {
  const rows = await storage.db.query(
    z.object({ state: z.string(), n: z.int() }),
    'SELECT state, count(*)::int AS n FROM webhook_deliveries WHERE webhook_id = $1 GROUP BY state',
    [webhookId],
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
}

describe('the outbox of webhooks', () => {
  it('gives each delivery to one process, whoever asks at the same time', async () => {
    for (let n = 0; n < 5; n++) await fill(await hook(), 20);
    await using databases = new AsyncDisposableStack();
    const processes = Array.from({ length: 4 }, () => {
      const db = databases.use(openDatabase({ url: storage.postgres.url, max: 1 }));
      return new WebhookOutbox({ db, redis: storage.link, key });
    });
    const taken: string[] = [];
    // Who finds all locked by others asks again.
    while (taken.length < 100) {
      const each = await Promise.all(processes.map((one) => one.take({ ...many, limit: 9 })));
      taken.push(...each.flat().map(({ id }) => id));
    }
    expect(new Set(taken).size).toBe(100);
    expect(taken).toHaveLength(100);
    expect(await outbox.take(many)).toEqual([]);
  });

  it('gives few of one receiver at a time, and of every one some', async () => {
    const [busy, quiet] = [await hook(), await hook()];
    await fill(busy, 50);
    await fill(quiet, 1);
    const first = await outbox.take({ ...many, limit: 3, perWebhook: 2 });
    expect(first.map(({ webhookId }) => webhookId).toSorted()).toEqual([busy, busy, quiet].toSorted());
    expect(await outbox.take({ ...many, perWebhook: 2 })).toEqual([]);
    const [one] = first.filter(({ webhookId }) => webhookId === busy);
    if (one !== undefined) await outbox.settle(one, attempt, { kind: 'delivered' });
    expect(await outbox.take({ ...many, perWebhook: 2 })).toHaveLength(1);
  });

  it('takes no answer of a process whose lease has ended', async () => {
    const id = await hook();
    await fill(id, 1);
    const [late] = await outbox.take({ ...many, leaseMs: 0 });
    const [second] = await outbox.take(many);
    if (late === undefined || second === undefined) throw new Error('nothing was taken');
    expect(second).toMatchObject({ id: late.id, tries: 0 });
    await outbox.settle(late, attempt, { kind: 'gone' });
    await outbox.settle(late, attempt, { kind: 'retry', afterMs: 0 });
    await outbox.giveBack(late);
    expect(await store.get(caller, id)).toMatchObject({ enabled: true, failingSince: null });
    expect(await outbox.take(many)).toEqual([]);
    await outbox.settle(second, attempt, { kind: 'retry', afterMs: 0 });
    const [third] = await outbox.take(many);
    expect(third).toMatchObject({ tries: 1 });
    if (third !== undefined) await outbox.giveBack(third);
    expect(await outbox.take(many)).toMatchObject([{ tries: 1 }]);
  });

  it('asks another address once more where the one before it is gone', async () => {
    const id = await hook();
    await fill(id, 1);
    const [held] = await outbox.take(many);
    await store.change(caller, id, { url: 'https://moved.example.com' });
    if (held !== undefined) await outbox.settle(held, attempt, { kind: 'gone' });
    expect(await store.get(caller, id)).toMatchObject({ enabled: true });
    expect(await outbox.take(many)).toMatchObject([{ url: 'https://moved.example.com', tries: 1 }]);
  });

  it('lets nothing wait for one that is disabled, and has what is told only if it is committed', async () => {
    const id = await hook();
    const claim = await claimBuild(storage);
    expect(await states(id)).toEqual({ pending: 1 });
    const failing = storage.ledger.finish(
      { ...claim, fence: claim.fence - 1 },
      { type: 'cancelled', atMs: 1, reason: 'x' },
    );
    await expect(failing).rejects.toThrow('no longer held');
    expect(await states(id)).toEqual({ pending: 1 });
    await store.change(caller, id, { enabled: false });
    expect(await states(id)).toEqual({ failed: 1 });
    await storage.ledger.finish(claim, { type: 'cancelled', atMs: 1, reason: 'x' });
    // Its answer was lost: it is told again, and so are receivers of nothing.
    await storage.ledger.finish(claim, { type: 'cancelled', atMs: 1, reason: 'x' });
    expect(await states(id)).toEqual({ failed: 1 });
  });

  it('is asked by nobody for what is being sent right now', async () => {
    const id = await hook();
    await fill(id, 1);
    const [held] = await outbox.take(many);
    const deliveries = new WebhookDeliveries(storage.db, storage.link);
    await deliveries.redeliver(caller, id, `${id}1`);
    expect(await outbox.take(many)).toEqual([]);
    if (held !== undefined) await outbox.settle(held, attempt, { kind: 'failed' });
    expect(await states(id)).toEqual({ failed: 1 });
    await deliveries.redeliver(caller, id, `${id}1`);
    expect(await outbox.take(many)).toMatchObject([{ id: `${id}1`, tries: 0 }]);
  });

  it('keeps the last thousand that ended, for thirty days, and whatever waits', async () => {
    const [much, old] = [await hook(), await hook()];
    await fill(much, 1_005, 'delivered');
    await fill(old, 2, 'failed');
    await storage.db.execute(
      "UPDATE webhook_deliveries SET ended_at = now() - interval '31 days', created_at = now() - interval '31 days' WHERE id = $1",
      [`${old}1`],
    );
    await storage.db.execute(
      'INSERT INTO webhook_deliveries (project_id, webhook_id, id, event, data) VALUES ($1, $2, $2, $3, $4)',
      [...[caller.projectId, old, 'ping', '{}']],
    );
    await outbox.sweep();
    expect(await states(much)).toEqual({ delivered: 1_000 });
    expect(await states(old)).toEqual({ failed: 1, pending: 1 });
  });

  it('says of a secret of another farm that it cannot be opened', async () => {
    await fill(await hook(), 1);
    const [taken] = await new WebhookOutbox({ db: storage.db, redis: storage.link, key: systemRandom(32) }).take(many);
    expect(() => taken?.secrets()).toThrow('cannot open a sealed value');
  });

  it('signs with the secret before the last for a day, and shows until when', async () => {
    const secret = (fill: number): string => `whsec_${Buffer.alloc(32, fill).toString('base64')}`;
    const id = (await store.create(caller, WebhookRequest.parse({ url: 'https://ci.example.com', secret: secret(1) })))
      .id;
    const signedWith = async (): Promise<readonly string[] | undefined> => {
      await storage.db.execute('DELETE FROM webhook_deliveries');
      await fill(id, 1);
      return (await outbox.take(many))[0]?.secrets();
    };
    expect(await signedWith()).toEqual([secret(1)]);
    expect((await store.get(caller, id)).oldSecretUntil).toBeNull();
    const { oldSecretUntil } = await store.change(caller, id, { secret: secret(2) });
    expect(Date.parse(oldSecretUntil ?? '') - Date.now()).toBeGreaterThan(23 * 3_600_000);
    await store.change(caller, id, { name: 'renamed' });
    expect(await signedWith()).toEqual([secret(2), secret(1)]);
    await store.change(caller, id, { secret: secret(3) });
    expect(await signedWith()).toEqual([secret(3), secret(2)]);
    await storage.db.execute("UPDATE webhooks SET old_until = now() - interval '1 second'");
    expect(await signedWith()).toEqual([secret(3)]);
    expect((await store.get(caller, id)).oldSecretUntil).toBeNull();
  });

  it('disables a webhook of which every try has failed for days, and says so', async () => {
    const patient = new WebhookOutbox({ db: storage.db, redis: storage.link, key, disableAfterMs: 5 * 86_400_000 });
    const id = await hook();
    await fill(id, 6);
    const settle = async (kind: 'delivered' | 'retry'): Promise<void> => {
      const [one] = await patient.take({ ...many, limit: 1 });
      if (one === undefined) throw new Error('nothing is due');
      await patient.settle(one, attempt, kind === 'retry' ? { kind, afterMs: 3_600_000 } : { kind });
    };
    const failingFor = (days: number) =>
      storage.db.execute("UPDATE webhooks SET failing_since = failing_since - $1 * interval '1 day'", [days]);
    await settle('retry');
    expect(await store.get(caller, id)).toMatchObject({ enabled: true, failingSince: expect.any(String) as string });
    await failingFor(6);
    await settle('delivered');
    expect(await store.get(caller, id)).toMatchObject({ enabled: true, failingSince: null });
    for (const change of [{ url: 'https://moved.example.com' }, { secret: `whsec_${'A'.repeat(32)}` }]) {
      await settle('retry');
      await failingFor(6);
      expect(await store.change(caller, id, change)).toMatchObject({ failingSince: null });
    }
    await settle('retry');
    await failingFor(6);
    expect(await store.change(caller, id, { name: 'ci' })).toMatchObject({
      failingSince: expect.any(String) as string,
    });
    await settle('retry');
    const reason = expect.stringMatching(/^every try has failed since .*: status 500$/) as string;
    expect(await store.get(caller, id)).toMatchObject({ enabled: false, disabledReason: reason });
    expect(await states(id)).toEqual({ delivered: 1, failed: 5 });
    const { entries } = await new AuditLog(storage.db).list(caller, { limit: 1 });
    expect(entries).toMatchObject([{ action: 'webhook.disable', target: id, tokenId: null, detail: { reason } }]);
    const again = await store.change(caller, id, { enabled: true });
    expect(again).toMatchObject({ enabled: true, disabledReason: null, failingSince: null });
  });

  it('takes few of each receiver where thousands are due', async () => {
    for (let n = 0; n < 3; n++) await fill(await hook(), 3_000);
    const taken = await outbox.take({ ...many, limit: 32, perWebhook: 4 });
    const each = Object.values(Object.groupBy(taken, ({ webhookId }) => webhookId)).map((some) => some?.length);
    expect(each).toEqual([4, 4, 4]);
  });
});

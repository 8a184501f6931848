import type { DeliveryVerdict, LeasedDelivery, WebhookAttempt } from '#protocol';
import { silentLogger, systemClock } from '#std';
import { describe, expect, it, vi } from 'vitest';
import { type CourierOptions, WebhookCourier } from './courier.ts';
import type { Message, Outcome } from './sender.ts';

const delivery = (n: number): LeasedDelivery => ({
  ...{ id: `msg_${n}`, webhookId: 'w', lease: 'l', url: 'https://ci.example.com', secrets: () => ['whsec_x'] },
  ...{ event: 'build.failed', createdAt: new Date(0), buildId: 'b1', data: { id: 'b1' }, tries: 0 },
});
const outcome = (status: number): Outcome => ({
  ...{ atMs: 0, status, durationMs: 1, response: '', retryAfterMs: null },
  error: status < 300 ? null : `status ${status}`,
});

/** A courier for what waits, until all of it is settled or given back. */
async function carried(
  waiting: LeasedDelivery[],
  send: CourierOptions['send'],
  { stop = new AbortController(), takeFails = 0 } = {},
) {
  const settled: [string, WebhookAttempt, DeliveryVerdict][] = [];
  const back: string[] = [];
  let most = 0;
  let failures = takeFails;
  const count = waiting.length;
  const courier = new WebhookCourier({
    outbox: {
      take: async ({ limit }) => {
        if (failures-- > 0) throw new Error('away');
        most = Math.max(most, limit);
        return Promise.resolve(waiting.splice(0, limit));
      },
      settle: async ({ id }, attempt, verdict) => void (await Promise.resolve(settled.push([id, attempt, verdict]))),
      giveBack: async ({ id }) => void (await Promise.resolve(back.push(id))),
      onMore: () => ({ [Symbol.dispose]: () => undefined }),
    },
    send,
    retryDelaysMs: [5_000],
    buildUrl: (id) => `https://kiln.example.com/v1/builds/${id}`,
    clock: { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(1, signal) },
    random: (size) => new Uint8Array(size),
    logger: silentLogger,
  });
  const running = courier.run(stop.signal);
  await vi.waitFor(() => expect(settled.length + back.length).toBe(count));
  stop.abort();
  await running;
  return { settled, back, most };
}

describe('the courier', () => {
  it('says what happened, when, and where it is shown', async () => {
    const sent: Message[] = [];
    await carried([delivery(1)], (message) => {
      sent.push(message);
      return Promise.resolve(outcome(204));
    });
    expect(sent).toEqual([
      {
        ...{ id: 'msg_1', url: 'https://ci.example.com', secrets: ['whsec_x'] },
        body: '{"type":"build.failed","timestamp":"1970-01-01T00:00:00.000Z","data":{"id":"b1","url":"https://kiln.example.com/v1/builds/b1"}}',
      },
    ]);
  });

  it.each<[number, number, DeliveryVerdict]>([
    [200, 0, { kind: 'delivered' }],
    [500, 0, { kind: 'retry', afterMs: 5_000 }],
    [302, 0, { kind: 'retry', afterMs: 5_000 }],
    [500, 1, { kind: 'failed' }],
    [410, 0, { kind: 'gone' }],
    [410, 1, { kind: 'gone' }],
  ])('decides by the answer %i after %i tries', async (status, tries, verdict) => {
    const { settled } = await carried([{ ...delivery(1), tries }], () => Promise.resolve(outcome(status)));
    expect(settled).toMatchObject([['msg_1', { at: '1970-01-01T00:00:00.000Z', status }, verdict]]);
  });

  it.each([
    [60_000, 60_000],
    [1_000, 5_000],
  ])('waits as long as the receiver asks for, and no less than it would: %i ms', async (retryAfterMs, afterMs) => {
    const { settled } = await carried([delivery(1)], () => Promise.resolve({ ...outcome(503), retryAfterMs }));
    expect(settled).toMatchObject([['msg_1', { status: 503 }, { kind: 'retry', afterMs }]]);
    expect(settled[0]?.[1]).not.toHaveProperty('retryAfterMs');
  });

  it('tries again what could not even be signed', async () => {
    const broken = (): never => {
      throw new Error('another key');
    };
    const { settled } = await carried([{ ...delivery(1), secrets: broken }], () => Promise.resolve(outcome(204)));
    expect(settled).toMatchObject([['msg_1', { status: null, error: 'another key' }, { kind: 'retry' }]]);
  });

  it('sends no more than a few at once, and goes on after an outage', async () => {
    let atOnce = 0;
    let most = 0;
    const send = async (): Promise<Outcome> => {
      most = Math.max(most, ++atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      atOnce--;
      return outcome(204);
    };
    const { settled } = await carried(
      Array.from({ length: 100 }, (_, n) => delivery(n)),
      send,
      { takeFails: 2 },
    );
    expect(new Set(settled.map(([id]) => id)).size).toBe(100);
    expect(most).toBe(32);
  });

  it('gives back what it was sending when it is to end', async () => {
    const stop = new AbortController();
    const { back, settled } = await carried(
      [delivery(1)],
      async (_, signal) => {
        stop.abort();
        signal.throwIfAborted();
        return Promise.resolve(outcome(204));
      },
      { stop },
    );
    expect([back, settled]).toEqual([['msg_1'], []]);
  });
});

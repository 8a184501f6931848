import type { DeliveryVerdict, LeasedDelivery, TakeOptions, WebhookAttempt } from '#protocol';
import { Bell, type Clock, type Logger, messageOf, type Random } from '#std';
import { retryDelayMs } from './retry-schedule.ts';
import type { Message, Outcome } from './sender.ts';

/** What has to be delivered, kept where it survives every process. */
export interface Outbox {
  /** Those that are due, leased for `leaseMs`. */
  take(options: TakeOptions): Promise<readonly LeasedDelivery[]>;
  /** Harmless when the lease is another's by now. */
  settle(delivery: LeasedDelivery, attempt: WebhookAttempt, verdict: DeliveryVerdict): Promise<void>;
  /** Of a try that was broken off: it is due again. */
  giveBack(delivery: LeasedDelivery): Promise<void>;
  /** Calls when there may be more. */
  onMore(listener: () => void): Disposable;
}

export interface CourierOptions {
  readonly outbox: Outbox;
  readonly send: (message: Message, signal: AbortSignal) => Promise<Outcome>;
  /** before the first retry, the second, … */
  readonly retryDelaysMs: readonly number[];
  /** where a build is shown */
  readonly buildUrl: (buildId: string) => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const AT_ONCE = 32;
/** A receiver that does not answer is in the way of itself alone. */
const AT_ONCE_PER_WEBHOOK = 4;
/** Beyond the time that a try may take. */
const LEASE_MS = 60_000;
const POLL_MS = 1_000;
const POLL_MAX_MS = 30_000;
const GONE = 410;

/** Takes deliveries that are due and sends them. Several processes may do it: what one has leased the others leave alone. */
export class WebhookCourier {
  readonly #options: CourierOptions;
  readonly #bell: Bell;
  readonly #underway = new Set<Promise<void>>();

  constructor(options: CourierOptions) {
    this.#options = options;
    this.#bell = new Bell(options.clock);
  }

  /** Until `signal` is aborted; what is being sent then is given back. */
  async run(signal: AbortSignal): Promise<void> {
    const { outbox, logger } = this.#options;
    using _ = outbox.onMore(() => this.#bell.ring());
    let pauseMs = POLL_MS;
    while (!signal.aborted) {
      const limit = AT_ONCE - this.#underway.size;
      let taken = 0;
      try {
        taken = limit === 0 ? 0 : await this.#take(limit, signal);
        pauseMs = POLL_MS;
      } catch (error) {
        logger.warn('webhooks could not be delivered yet', { error });
        pauseMs = Math.min(pauseMs * 2, POLL_MAX_MS);
      }
      if (taken === 0) await this.#bell.wait(pauseMs, signal);
    }
    await Promise.all(this.#underway);
  }

  async #take(limit: number, signal: AbortSignal): Promise<number> {
    const due = await this.#options.outbox.take({ limit, perWebhook: AT_ONCE_PER_WEBHOOK, leaseMs: LEASE_MS });
    for (const delivery of due) {
      const work = this.#deliver(delivery, signal).finally(() => {
        this.#underway.delete(work);
        this.#bell.ring();
      });
      this.#underway.add(work);
    }
    return due.length;
  }

  /** Never throws: what cannot be put down is tried again once the lease has ended. */
  async #deliver(delivery: LeasedDelivery, signal: AbortSignal): Promise<void> {
    const { outbox, logger } = this.#options;
    try {
      const outcome = await this.#try(delivery, signal);
      if (outcome === undefined) return void (await outbox.giveBack(delivery));
      const verdict = this.#verdictOf(outcome, delivery.tries + 1);
      if (verdict.kind === 'failed' || verdict.kind === 'gone')
        logger.warn('a webhook was not delivered', { delivery: delivery.id, error: outcome.error });
      const { atMs, retryAfterMs: _, ...told } = outcome;
      await outbox.settle(delivery, { at: new Date(atMs).toISOString(), ...told }, verdict);
    } catch (error) {
      logger.warn('what came of a webhook could not be put down', { delivery: delivery.id, error });
    }
  }

  /** undefined when it was broken off */
  async #try(delivery: LeasedDelivery, signal: AbortSignal): Promise<Outcome | undefined> {
    const { send, clock } = this.#options;
    try {
      const { id, url } = delivery;
      return await send({ id, url, secrets: delivery.secrets(), body: this.#bodyOf(delivery) }, signal);
    } catch (thrown) {
      if (signal.aborted) return undefined;
      const none = { status: null, durationMs: 0, response: '', retryAfterMs: null };
      return { atMs: clock.nowMs(), ...none, error: messageOf(thrown) };
    }
  }

  #bodyOf({ event, createdAt, buildId, data }: LeasedDelivery): string {
    const url = buildId === null ? {} : { url: this.#options.buildUrl(buildId) };
    return JSON.stringify({ type: event, timestamp: createdAt.toISOString(), data: { ...data, ...url } });
  }

  #verdictOf({ status, error, retryAfterMs }: Outcome, tries: number): DeliveryVerdict {
    const { retryDelaysMs, random } = this.#options;
    if (error === null) return { kind: 'delivered' };
    if (status === GONE) return { kind: 'gone' };
    const afterMs = retryDelayMs(retryDelaysMs, tries, random);
    if (afterMs === undefined) return { kind: 'failed' };
    // Whoever asks for less is not served sooner than others.
    return { kind: 'retry', afterMs: Math.max(afterMs, retryAfterMs ?? 0) };
  }
}

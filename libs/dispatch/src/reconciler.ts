import type { QueuedBuild } from '#protocol';
import { type Clock, isKilnError, type Logger } from '#std';
import type { BuildQueue } from './build-queue.ts';

/** What the reconciler asks of the ledger of builds. */
export interface ReconcilerLedger {
  /** Takes running builds from builders that were not heard of for `ttlMs`; answers with their next attempts. */
  expired(ttlMs: number): Promise<readonly QueuedBuild[]>;
  /** Builds that have waited for longer than `ms`. */
  queuedOlderThan(ms: number): Promise<readonly QueuedBuild[]>;
}

export interface ReconcilerOptions {
  readonly ledger: ReconcilerLedger;
  readonly queue: BuildQueue;
  readonly clock: Clock;
  readonly logger: Logger;
}

const PERIOD_MS = 2_000;
const PERIOD_MAX_MS = 5_000;
/** With the period and the way to another builder, a take-over is within 15 s. */
export const HEARTBEAT_TTL_MS = 8_000;
/** How often a builder should be heard of. */
export const HEARTBEAT_PERIOD_MS = 2_000;
/** A build that was just accepted has its job on the way. */
const PATIENCE_MS = 1_000;

/** Brings builds that the queue or a builder lost back into the queue, from what Postgres knows. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  #lookedAtMs: number | undefined;
  #graceUntilMs = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Until `signal` is aborted. An outage costs warnings and longer pauses. */
  async run(signal: AbortSignal): Promise<void> {
    let pauseMs = PERIOD_MS;
    while (!signal.aborted) {
      pauseMs = (await this.#survive()) ? PERIOD_MS : Math.min(pauseMs * 2, PERIOD_MAX_MS);
      await this.#options.clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  }

  /** One look. @throws KilnError UNAVAILABLE */
  async tick(): Promise<void> {
    const { ledger, queue, clock } = this.#options;
    const waiting = await ledger.queuedOlderThan(PATIENCE_MS);
    const nowMs = clock.nowMs();
    // Who could not look for long does not know whether builders could write: they get the time to be heard of again.
    if (this.#lookedAtMs !== undefined && nowMs - this.#lookedAtMs > HEARTBEAT_TTL_MS) {
      this.#graceUntilMs = nowMs + HEARTBEAT_TTL_MS;
    }
    this.#lookedAtMs = nowMs;
    const lost = nowMs < this.#graceUntilMs ? [] : await ledger.expired(HEARTBEAT_TTL_MS);
    if (lost.length > 0) this.#options.logger.warn('builds go to other builders', { builds: lost });
    await queue.add([...lost, ...waiting]);
  }

  async #survive(): Promise<boolean> {
    try {
      await this.tick();
      return true;
    } catch (thrown) {
      const away = isKilnError(thrown, 'UNAVAILABLE');
      this.#options.logger[away ? 'warn' : 'error']('builds could not be reconciled', { error: thrown });
      return false;
    }
  }
}

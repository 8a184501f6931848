import type { Boarding, CacheKey, Flight, Flights } from '#cache';
import type { FarmFlights } from '#engine';
import type { Digest } from '#oci';
import { type BuildEvent, isFinal } from '#protocol';
import { type Clock, type Logger, messageOf } from '#std';
import type { EventFeed } from '#storage';
import type { Patience } from './patience.ts';

export interface FollowedFlightsOptions {
  readonly flights: Flights;
  readonly feed: Pick<EventFeed, 'watch'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly wait: Patience;
}

/** A step's last events may come this much later than its result. */
const GRACE_MS = 1_000;

/** Flights, with what their builds tell; waits for a database that is away. */
export class FollowedFlights implements FarmFlights {
  readonly #options: FollowedFlightsOptions;

  constructor(options: FollowedFlightsOptions) {
    this.#options = options;
  }

  board(key: CacheKey, vertex: Digest): Promise<Boarding> {
    const { flights, wait } = this.#options;
    return wait(() => flights.board(key, vertex));
  }

  /** Nobody waits for a database here: at the latest, the flight ends with its build. */
  async land(key: CacheKey): Promise<void> {
    const { flights, logger } = this.#options;
    try {
      await flights.land(key);
    } catch (thrown) {
      logger.warn('a step could not be given up before its build ends', { error: messageOf(thrown) });
    }
  }

  isInAir(key: CacheKey, flight: Flight): Promise<boolean> {
    const { flights, wait } = this.#options;
    return wait(() => flights.isInAir(key, flight));
  }

  async follow(
    key: CacheKey,
    flight: Flight,
    onEvent: (event: BuildEvent) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { feed, clock, wait } = this.#options;
    let seen = flight.afterSeq;
    let told = false;
    let landedAtMs: number | undefined;
    const over = async (): Promise<boolean> => {
      if (await this.isInAir(key, flight)) return false;
      landedAtMs ??= clock.nowMs();
      return told || clock.nowMs() - landedAtMs >= GRACE_MS;
    };
    await wait(async () => {
      for await (const { seq, event } of feed.watch(flight.buildId, seen, signal, over)) {
        seen = seq;
        if (isFinal(event) || (event.type === 'started' && event.attempt > flight.attempt)) return;
        if (!('vertex' in event) || event.vertex !== flight.vertex) continue;
        await onEvent(event);
        told ||= event.type === 'vertexDone' || event.type === 'vertexFailed';
      }
    });
  }
}

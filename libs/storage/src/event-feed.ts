import { z } from 'zod';
import type { ContentStore } from '#content';
import { isFinal, type NumberedEvent } from '#protocol';
import { Bell, type Clock, systemClock } from '#std';
import { bigintColumn, type Database } from './database.ts';
import { lastFrom, readEvents } from './event-reader.ts';
import type { RedisLink } from './redis.ts';
import { wakeupChannel } from './wakeups.ts';

/** Without wake-ups a reader is at most this late. */
const POLL_MS = 1_000;
const PAGE = 100;
const Tip = z.object({ last_seq: bigintColumn, ended: z.boolean() });

export interface EventFeedOptions {
  readonly db: Database;
  readonly redis: RedisLink;
  /** where archived events are */
  readonly content: ContentStore;
  readonly clock?: Clock | undefined;
}

/** Events of builds as they become durable. */
export class EventFeed {
  readonly #db: Database;
  readonly #redis: RedisLink;
  readonly #content: ContentStore;
  readonly #clock: Clock;

  constructor({ db, redis, content, clock = systemClock }: EventFeedOptions) {
    this.#db = db;
    this.#redis = redis;
    this.#content = content;
    this.#clock = clock;
  }

  /**
   * The next events after a number, in order, none when there are none yet. Who may read them is the caller's to ask.
   * @throws KilnError UNAVAILABLE, UPSTREAM_UNAVAILABLE
   */
  async read(buildId: string, afterSeq: number): Promise<readonly NumberedEvent[]> {
    return await readEvents(this.#db, this.#content, buildId, afterSeq, PAGE);
  }

  /**
   * Number of the last event of a part that its build's log has; 0 for none.
   * @throws KilnError UNAVAILABLE, UPSTREAM_UNAVAILABLE
   */
  async lastFrom(buildId: string, part: string): Promise<number> {
    return await lastFrom(this.#db, this.#content, buildId, part);
  }

  /**
   * All events after a number, in order and without gaps, until the final one or until `signal` is aborted. Reads no further
   * than its reader. Who may read them is the caller's to ask.
   * @param over asked while there is nothing to read: whether the reader waits for nothing more
   * @throws KilnError UNAVAILABLE; the reader may begin again after the last number that it saw
   */
  async *watch(
    buildId: string,
    afterSeq: number,
    signal: AbortSignal,
    over?: () => Promise<boolean>,
  ): AsyncGenerator<NumberedEvent, void, void> {
    const bell = new Bell(this.#clock);
    using _subscription = this.#redis.subscribe(wakeupChannel(buildId), () => bell.ring());
    let seen = afterSeq;
    while (!signal.aborted) {
      const page = await this.read(buildId, seen);
      for (const numbered of page) {
        yield numbered;
        if (signal.aborted) return;
        seen = numbered.seq;
        if (isFinal(numbered.event)) return;
      }
      if (page.length > 0) continue;
      if (await (over?.() ?? this.#ended(buildId, seen))) return;
      await bell.wait(POLL_MS, signal);
    }
  }

  /** Number of the last event there is now. */
  async tip(buildId: string): Promise<number> {
    const [tip] = await this.#tip(buildId);
    return tip?.last_seq ?? 0;
  }

  async #tip(buildId: string): Promise<readonly z.infer<typeof Tip>[]> {
    return await this.#db.query(
      Tip,
      "SELECT last_seq, state NOT IN ('queued', 'running') AS ended FROM builds WHERE id = $1",
      [buildId],
    );
  }

  /** Whether nothing will ever follow `seen`: so for who has read the final event already. */
  async #ended(buildId: string, seen: number): Promise<boolean> {
    const [tip] = await this.#tip(buildId);
    return tip === undefined || (tip.ended && tip.last_seq <= seen);
  }
}

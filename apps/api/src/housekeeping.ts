import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { ContentStore } from '#content';
import type { Clock, Logger } from '#std';
import type {
  AuditLog,
  BrowserSessions,
  Collector,
  EventArchive,
  SignInFlows,
  StatisticsReader,
  TokenStore,
  WebhookOutbox,
} from '#storage';
import {
  ARCHIVE,
  AUDIT,
  BROWSER_SESSIONS,
  CLOCK,
  COLLECTOR,
  CONTENT,
  LOGGER,
  OUTBOX,
  SIGN_IN_FLOWS,
  STATISTICS,
  TOKENS,
} from './tokens.ts';

interface Chore {
  /** for the log: `logs could not be archived yet` */
  readonly failure: string;
  readonly periodMs: number;
  readonly run: (signal: AbortSignal) => Promise<unknown>;
}

const HOUR_MS = 3_600_000;
const ARCHIVE_PERIOD_MS = 1_000;
const COLLECT_PERIOD_MS = 60_000;
const LIST_PERIOD_MS = 24 * HOUR_MS;
const PERIOD_MAX_MS = 30_000;
/** No upload takes longer. */
const ABANDONED_MS = 24 * HOUR_MS;

/** What has to be done now and then as long as the process runs; several processes may do it at a time. */
@Injectable()
export class Housekeeping implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #chores: readonly Chore[];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #running: Promise<unknown> | undefined;

  constructor(
    @Inject(ARCHIVE) archive: EventArchive,
    @Inject(COLLECTOR) collector: Collector,
    @Inject(CONTENT) content: ContentStore,
    @Inject(STATISTICS) statistics: StatisticsReader,
    @Inject(TOKENS) tokens: TokenStore,
    @Inject(BROWSER_SESSIONS) sessions: BrowserSessions,
    @Inject(SIGN_IN_FLOWS) flows: SignInFlows,
    @Inject(AUDIT) audit: AuditLog,
    @Inject(OUTBOX) outbox: WebhookOutbox,
    @Inject(CLOCK) clock: Clock,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.#clock = clock;
    this.#logger = logger;
    this.#chores = [
      {
        failure: 'logs could not be archived yet',
        periodMs: ARCHIVE_PERIOD_MS,
        run: (signal) => archive.sweep(signal),
      },
      {
        failure: 'the object store could not be swept yet',
        periodMs: HOUR_MS,
        run: (signal) => content.sweepTemporary(clock.nowMs() - ABANDONED_MS, signal),
      },
      {
        failure: 'old statistics could not be swept yet',
        periodMs: HOUR_MS,
        run: () => statistics.sweep(),
      },
      {
        failure: 'ended tokens and sessions, and old audit entries could not be swept yet',
        periodMs: HOUR_MS,
        run: () => Promise.all([tokens.sweep(), sessions.sweep(), flows.sweep(), audit.sweep()]),
      },
      {
        failure: 'old deliveries of webhooks could not be swept yet',
        periodMs: HOUR_MS,
        run: () => outbox.sweep(),
      },
      {
        failure: 'the cache could not be collected yet',
        periodMs: COLLECT_PERIOD_MS,
        run: (signal) => collector.collect(signal),
      },
      {
        failure: 'the object store could not be listed yet',
        periodMs: LIST_PERIOD_MS,
        run: (signal) => collector.adopt(signal),
      },
    ];
  }

  onApplicationBootstrap(): void {
    this.#running = Promise.all(this.#chores.map((chore) => this.#repeat(chore, this.#stop.signal)));
  }

  async onModuleDestroy(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** An outage costs warnings and longer pauses: what was not done is done later. */
  async #repeat({ failure, periodMs, run }: Chore, signal: AbortSignal): Promise<void> {
    let pauseMs = periodMs;
    while (!signal.aborted) {
      try {
        await run(signal);
        pauseMs = periodMs;
      } catch (error) {
        if (signal.aborted) return;
        this.#logger.warn(failure, { error });
        pauseMs = Math.max(periodMs, Math.min(pauseMs * 2, PERIOD_MAX_MS));
      }
      await this.#clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  }
}

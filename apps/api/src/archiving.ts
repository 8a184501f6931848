import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Clock, Logger } from '#std';
import type { EventArchive } from '#storage';
import { ARCHIVE, CLOCK, LOGGER } from './tokens.ts';

const PERIOD_MS = 1_000;
const PERIOD_MAX_MS = 30_000;

/** Moves long logs into the object store as long as the process runs. */
@Injectable()
export class Archiving implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #archive: EventArchive;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(@Inject(ARCHIVE) archive: EventArchive, @Inject(CLOCK) clock: Clock, @Inject(LOGGER) logger: Logger) {
    this.#archive = archive;
    this.#clock = clock;
    this.#logger = logger;
  }

  onApplicationBootstrap(): void {
    this.#running = this.#run(this.#stop.signal);
  }

  async onModuleDestroy(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** An outage costs warnings and longer pauses: what is not archived stays where it is. */
  async #run(signal: AbortSignal): Promise<void> {
    let pauseMs = PERIOD_MS;
    while (!signal.aborted) {
      try {
        await this.#archive.sweep(signal);
        pauseMs = PERIOD_MS;
      } catch (error) {
        if (signal.aborted) return;
        this.#logger.warn('logs could not be archived yet', { error });
        pauseMs = Math.min(pauseMs * 2, PERIOD_MAX_MS);
      }
      await this.#clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  }
}

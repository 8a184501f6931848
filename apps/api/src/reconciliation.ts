import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { type BuildQueue, Reconciler } from '#dispatch';
import type { Clock, Logger } from '#std';
import type { BuildLedger } from '#storage';
import { CLOCK, LEDGER, LOGGER, QUEUE } from './tokens.ts';

/** Runs the reconciler as long as the process. Several APIs may: each takes what the others have not. */
@Injectable()
export class Reconciliation implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #reconciler: Reconciler;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    @Inject(LEDGER) ledger: BuildLedger,
    @Inject(QUEUE) queue: BuildQueue,
    @Inject(CLOCK) clock: Clock,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.#reconciler = new Reconciler({ ledger, queue, clock, logger });
  }

  onApplicationBootstrap(): void {
    this.#running = this.#reconciler.run(this.#stop.signal);
  }

  async onModuleDestroy(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

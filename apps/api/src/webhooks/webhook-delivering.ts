import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Clock, Logger, Random } from '#std';
import type { WebhookOutbox } from '#storage';
import { WebhookCourier, WebhookSender } from '#webhooks';
import { type ApiConfig, buildUrl } from '../config.ts';
import { CLOCK, CONFIG, LOGGER, OUTBOX, RANDOM } from '../tokens.ts';

/** Delivers to webhooks as long as the process runs. Several APIs may: each takes what the others have not. */
@Injectable()
export class WebhookDelivering implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #courier: WebhookCourier;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    @Inject(OUTBOX) outbox: WebhookOutbox,
    @Inject(CONFIG) config: ApiConfig,
    @Inject(CLOCK) clock: Clock,
    @Inject(RANDOM) random: Random,
    @Inject(LOGGER) logger: Logger,
  ) {
    const sender = new WebhookSender({ egress: { allow: config.KILN_WEBHOOK_ALLOW }, clock });
    this.#courier = new WebhookCourier({
      outbox,
      send: (message, signal) => sender.send(message, signal),
      retryDelaysMs: config.KILN_WEBHOOK_RETRY_SECONDS.map((seconds) => seconds * 1_000),
      buildUrl: (id) => buildUrl(config, id),
      clock,
      random,
      logger,
    });
  }

  onApplicationBootstrap(): void {
    this.#running = this.#courier.run(this.#stop.signal);
  }

  async onModuleDestroy(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

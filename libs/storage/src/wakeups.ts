import type { Logger } from '#std';
import type { RedisLink } from './redis.ts';

export const wakeupChannel = (buildId: string): string => `build:${buildId}`;
const WEBHOOKS_CHANNEL = 'webhooks';
const builderChannel = (id: string): string => `builder:${id}`;
export const cancelChannel = (buildId: string): string => `cancel:${buildId}`;

/** Wakes who waits for something of a build. What is lost here costs them a second or two, nothing else. */
export class Wakeups {
  readonly #redis: RedisLink;
  readonly #logger: Logger;

  constructor(redis: RedisLink, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
  }

  /** Tells readers of a build that there is more. */
  async send(buildId: string): Promise<void> {
    await this.#ring(wakeupChannel(buildId));
  }

  /** Tells the builder of a build to look whether it is still wanted. */
  async sendCancel(buildId: string): Promise<void> {
    await this.#ring(cancelChannel(buildId));
  }

  /** Tells who delivers to webhooks that there may be something to deliver. */
  async sendWebhooks(): Promise<void> {
    await this.#ring(WEBHOOKS_CHANNEL);
  }

  onWebhooks(listener: () => void): Disposable {
    return this.#redis.subscribe(WEBHOOKS_CHANNEL, listener);
  }

  /** Calls when there may be more of a build, and once at the beginning. */
  onChange(buildId: string, listener: () => void): Disposable {
    return this.#redis.subscribe(wakeupChannel(buildId), listener);
  }

  onCancel(buildId: string, listener: () => void): Disposable {
    return this.#redis.subscribe(cancelChannel(buildId), listener);
  }

  /** Tells a builder to look whether it may take builds. */
  async sendBuilder(id: string): Promise<void> {
    await this.#ring(builderChannel(id));
  }

  onBuilder(id: string, listener: () => void): Disposable {
    return this.#redis.subscribe(builderChannel(id), listener);
  }

  async #ring(channel: string): Promise<void> {
    try {
      await this.#redis.publish(channel, '');
    } catch (error) {
      this.#logger.warn('nobody could be woken', { channel, error });
    }
  }
}

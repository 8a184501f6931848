import type { Logger } from '#std';
import type { RedisLink } from './redis.ts';

export const wakeupChannel = (buildId: string): string => `build:${buildId}`;

/** Tells readers of a build that there is more. What is lost here costs them a second, nothing else. */
export class Wakeups {
  readonly #redis: RedisLink;
  readonly #logger: Logger;

  constructor(redis: RedisLink, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
  }

  async send(buildId: string): Promise<void> {
    try {
      await this.#redis.publish(wakeupChannel(buildId), '');
    } catch (error) {
      this.#logger.warn('readers of a build were not woken', { buildId, error });
    }
  }
}

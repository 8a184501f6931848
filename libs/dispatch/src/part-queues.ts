import { Queue } from 'bullmq';
import type { QueuedBuild } from '#protocol';
import { type Clock, type Logger, messageOf } from '#std';
import { BUILD_QUEUE, type BuildQueue, bullQueue } from './build-queue.ts';
import { producerOptions } from './connection.ts';

/** Where one builder finds parts of builds: it alone may be fit for them. */
export function partQueueName(builderId: string): string {
  return `kiln-parts-${builderId}`;
}

export interface PartQueuesOptions {
  readonly redisUrl: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** the builder that should run what is for a platform; null while there is none */
  readonly fittest: (platform: string) => Promise<string | null>;
}

/** The way to whoever is free, for a process without Nest's own. */
export function openBuildQueue({
  redisUrl,
  clock,
  logger,
}: Omit<PartQueuesOptions, 'fittest'>): BuildQueue & AsyncDisposable {
  const queue = new Queue(BUILD_QUEUE, producerOptions(redisUrl));
  let told = '';
  queue.on('error', ({ message }) => {
    if (message !== told) logger.warn('the queue of builds cannot be reached', { error: message });
    told = message;
  });
  return {
    ...bullQueue(queue, clock),
    async [Symbol.asyncDispose]() {
      await queue
        .close()
        .catch((error: unknown) => logger.warn('the queue was not closed', { error: messageOf(error) }));
    },
  };
}

/** The ways to single builders, opened as they are needed. */
export class PartQueues implements BuildQueue, AsyncDisposable {
  readonly #options: PartQueuesOptions;
  readonly #open = new Map<string, Queue>();
  #told = '';

  constructor(options: PartQueuesOptions) {
    this.#options = options;
  }

  /** Parts for which nobody is fit stay where they are until somebody is. @throws KilnError UNAVAILABLE */
  async add(builds: readonly QueuedBuild[]): Promise<void> {
    for (const build of builds) {
      if (build.platform === undefined) continue;
      const builder = await this.#options.fittest(build.platform);
      if (builder !== null) await bullQueue(this.#queue(builder), this.#options.clock).add([build]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const queue of this.#open.values()) {
      // While Redis is away there is nothing to be said to it.
      await queue.close().catch((error: unknown) => this.#complain(messageOf(error)));
    }
  }

  #queue(builder: string): Queue {
    let queue = this.#open.get(builder);
    if (queue === undefined) {
      queue = new Queue(partQueueName(builder), producerOptions(this.#options.redisUrl));
      queue.on('error', ({ message }) => this.#complain(message));
      this.#open.set(builder, queue);
    }
    return queue;
  }

  #complain(message: string): void {
    if (message !== this.#told) this.#options.logger.warn('a queue of parts cannot be reached', { error: message });
    this.#told = message;
  }
}

/** Builds go to whoever is free, parts to who is fit. */
export function routedQueue(builds: BuildQueue, parts: BuildQueue): BuildQueue {
  return {
    async add(all) {
      await builds.add(all.filter(({ platform }) => platform === undefined));
      await parts.add(all.filter(({ platform }) => platform !== undefined));
    },
  };
}

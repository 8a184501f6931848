import { Redis } from 'ioredis';
import { KilnError, type Logger, silentLogger } from '#std';

export interface RedisOptions {
  /** redis://:password@host:port/db */
  readonly url: string;
  readonly logger?: Logger | undefined;
}

const COMMAND_TIMEOUT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;
const RECONNECT_MAX_MS = 1_000;

type Listener = (message: string) => void;

/**
 * Redis as Kiln uses it: for what may be lost at any moment. Commands fail fast while it is away; subscriptions come back
 * by themselves. Whoever asks here has another way to the truth.
 */
export class RedisLink implements AsyncDisposable {
  readonly #commands: Redis;
  readonly #subscriber: Redis;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #logger: Logger;
  #complained = false;

  constructor({ url, logger = silentLogger }: RedisOptions) {
    this.#logger = logger;
    const options = {
      connectTimeout: CONNECT_TIMEOUT_MS,
      commandTimeout: COMMAND_TIMEOUT_MS,
      maxRetriesPerRequest: 0,
      retryStrategy: (times: number) => Math.min(times * 50, RECONNECT_MAX_MS),
    };
    this.#commands = new Redis(url, options);
    // A subscription may wait for its connection: nobody waits for it.
    this.#subscriber = new Redis(url, { ...options, commandTimeout: 60_000, maxRetriesPerRequest: null });
    for (const connection of [this.#commands, this.#subscriber]) {
      connection.on('error', (error: Error) => this.#complain(error));
      connection.on('ready', () => {
        if (this.#complained) this.#logger.info('Redis is back');
        this.#complained = false;
      });
    }
    this.#subscriber.on('message', (channel: string, message: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message);
    });
  }

  /** @throws KilnError UNAVAILABLE */
  async ping(): Promise<void> {
    await this.#ask((redis) => redis.ping());
  }

  /** What it says of itself, by name. @throws KilnError UNAVAILABLE */
  async info(): Promise<ReadonlyMap<string, string>> {
    const text = await this.#ask((redis) => redis.info());
    const lines = text.split('\r\n').filter((line) => line.includes(':') && !line.startsWith('#'));
    return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
  }

  /** Tells whoever listens now. @returns how many do @throws KilnError UNAVAILABLE */
  async publish(channel: string, message: string): Promise<number> {
    return await this.#ask((redis) => redis.publish(channel, message));
  }

  /** In the order of the keys; null for those that are not there. @throws KilnError UNAVAILABLE */
  async getMany(keys: readonly string[]): Promise<readonly (string | null)[]> {
    if (keys.length === 0) return [];
    return await this.#ask((redis) => redis.mget(...keys));
  }

  /** @throws KilnError UNAVAILABLE */
  async setMany(entries: ReadonlyMap<string, string>, ttlSeconds: number): Promise<void> {
    if (entries.size === 0) return;
    await this.#ask(async (redis) => {
      const pipeline = redis.pipeline();
      for (const [key, value] of entries) pipeline.set(key, value, 'EX', ttlSeconds);
      for (const [failure] of (await pipeline.exec()) ?? []) if (failure !== null) throw failure;
    });
  }

  /**
   * Calls `listener` for each message until the returned handle is disposed, and once when listening has begun: what was
   * said before is for the caller to find. Messages sent while Redis is away are lost.
   */
  subscribe(channel: string, listener: Listener): Disposable {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    if (listeners.size === 1) this.#later(this.#subscriber.subscribe(channel).then(() => listener('')));
    return {
      [Symbol.dispose]: () => {
        listeners.delete(listener);
        if (listeners.size > 0 || this.#listeners.get(channel) !== listeners) return;
        this.#listeners.delete(channel);
        this.#later(this.#subscriber.unsubscribe(channel));
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#commands.disconnect();
    this.#subscriber.disconnect();
  }

  async #ask<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    // Else a command waits in line for a connection that may not come.
    if (this.#commands.status !== 'ready') await this.#connected();
    try {
      return await command(this.#commands);
    } catch (cause) {
      throw new KilnError('UNAVAILABLE', 'Redis cannot be reached', { cause });
    }
  }

  /** The first connection is waited for; one that broke is not. */
  async #connected(): Promise<void> {
    const { status } = this.#commands;
    if (status === 'connecting' || status === 'connect') {
      const settled = Promise.withResolvers<void>();
      const done = (): void => settled.resolve();
      this.#commands.once('ready', done).once('close', done);
      await settled.promise;
      this.#commands.off('ready', done).off('close', done);
    }
    if (this.#commands.status !== 'ready') throw new KilnError('UNAVAILABLE', 'Redis cannot be reached');
  }

  #later(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#logger.warn('a subscription in Redis failed', { error }));
  }

  #complain(error: Error): void {
    if (this.#complained) return;
    this.#complained = true;
    this.#logger.warn('Redis cannot be reached', { error: error.message });
  }
}

export function openRedis(options: RedisOptions): RedisLink {
  return new RedisLink(options);
}

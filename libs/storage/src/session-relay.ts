import { SessionAnswer, SessionAsk } from '#protocol';
import { type Clock, KilnError, type Logger, messageOf, type Random, randomId } from '#std';
import { z } from 'zod';
import type { RedisLink } from './redis.ts';

/** From the builder to whoever holds the client's connection. */
const askChannel = (buildId: string): string => `session:${buildId}:ask`;
/** And back. */
const tellChannel = (buildId: string): string => `session:${buildId}:tell`;

const Told = z.union([SessionAnswer, z.strictObject({ type: z.enum(['here', 'gone']) })]);
const Asked = z.union([SessionAsk, z.strictObject({ type: z.literal('who') })]);

/** How long a client that is not there may take to come, or to come back. */
const READY_MS = 20_000;
const ASK_AGAIN_MS = 500;
/** A person may have to touch a key. */
const ANSWER_MS = 120_000;
/** Of one build at a time. */
const MAX_PENDING = 64;

export interface SessionCallerOptions {
  readonly redis: RedisLink;
  readonly buildId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly readyMs?: number | undefined;
}

/**
 * The builder's end of a client's session. Redis may lose what is said: everything is asked again, or fails by name after
 * a time; nothing of it is kept.
 */
export class SessionCaller implements Disposable {
  readonly #options: SessionCallerOptions;
  readonly #subscription: Disposable;
  readonly #pending = new Map<string, (told: SessionAnswer | undefined) => void>();
  readonly #arrivals = new Set<() => void>();
  #here = false;

  constructor(options: SessionCallerOptions) {
    this.#options = options;
    this.#subscription = options.redis.subscribe(tellChannel(options.buildId), (text) => this.#told(text));
  }

  /** Resolves when the client is there. @throws KilnError STEP_FAILED when it does not come */
  async ready(agent: string, signal: AbortSignal): Promise<void> {
    const { clock, readyMs = READY_MS } = this.#options;
    const untilMs = clock.nowMs() + readyMs;
    while (!this.#here) {
      signal.throwIfAborted();
      if (clock.nowMs() >= untilMs) throw lost(agent);
      await this.#publish({ type: 'who' });
      await this.#arrival(signal);
    }
  }

  /** @throws KilnError STEP_FAILED when the client has left, or its agent fails */
  async ask(agent: string, message: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#pending.size >= MAX_PENDING) throw new KilnError('STEP_FAILED', 'too much is asked of the ssh agent');
    for (let attempt = 1; ; attempt++) {
      await this.ready(agent, signal);
      const told = await this.#once(agent, message, signal);
      if (told?.type === 'answer') return Buffer.from(told.message, 'base64');
      if (told?.type === 'failed') throw new KilnError('STEP_FAILED', `the ssh agent ${agent} failed: ${told.reason}`);
      // It left with the question: it may be back, and no question does harm when it is asked twice.
      if (attempt === 2) throw lost(agent);
    }
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    for (const settle of this.#pending.values()) settle(undefined);
  }

  async #once(agent: string, message: Uint8Array, signal: AbortSignal): Promise<SessionAnswer | undefined> {
    const { clock, random } = this.#options;
    const id = randomId(random, 20);
    const answered = Promise.withResolvers<SessionAnswer | undefined>();
    this.#pending.set(id, answered.resolve);
    const done = new AbortController();
    try {
      if (!(await this.#publish({ type: 'ask', id, agent, message: Buffer.from(message).toString('base64') }))) {
        this.#here = false;
        return undefined;
      }
      const timeout = clock
        .sleep(ANSWER_MS, AbortSignal.any([signal, done.signal]))
        .then(() => undefined)
        .catch(() => undefined);
      const told = await Promise.race([answered.promise, timeout]);
      signal.throwIfAborted();
      return told;
    } finally {
      done.abort();
      this.#pending.delete(id);
    }
  }

  #told(text: string): void {
    const told = parsed(Told, text);
    if (told === undefined) return;
    if (told.type === 'answer' || told.type === 'failed') return this.#pending.get(told.id)?.(told);
    this.#here = told.type === 'here';
    if (this.#here) for (const arrive of this.#arrivals) arrive();
    else for (const settle of this.#pending.values()) settle(undefined);
  }

  async #arrival(signal: AbortSignal): Promise<void> {
    const arrived = Promise.withResolvers<void>();
    this.#arrivals.add(arrived.resolve);
    const done = new AbortController();
    try {
      const waited = this.#options.clock.sleep(ASK_AGAIN_MS, AbortSignal.any([signal, done.signal]));
      await Promise.race([arrived.promise, waited.catch(() => undefined)]);
    } finally {
      done.abort();
      this.#arrivals.delete(arrived.resolve);
    }
  }

  /** @returns whether anybody can have heard it */
  async #publish(asked: z.infer<typeof Asked>): Promise<boolean> {
    const { redis, buildId } = this.#options;
    try {
      return (await redis.publish(askChannel(buildId), JSON.stringify(asked))) > 0;
    } catch {
      return false;
    }
  }
}

function lost(agent: string): KilnError {
  return new KilnError('STEP_FAILED', `the client that forwards the ssh agent ${JSON.stringify(agent)} has left`, {
    hint: 'it has to stay until the build ends: do not interrupt it, and do not detach',
  });
}

/** The other end, for a process that holds the connection of a build's client. */
export class SessionHost {
  readonly #redis: RedisLink;
  readonly #logger: Logger;

  constructor(redis: RedisLink, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
  }

  /** Says that the client is there, until what is returned is disposed of. */
  attach(buildId: string, onAsk: (ask: SessionAsk) => void): SessionSeat {
    const tell = (told: z.infer<typeof Told>): void => {
      this.#redis.publish(tellChannel(buildId), JSON.stringify(told)).catch((thrown: unknown) => {
        this.#logger.warn('a session’s answer was lost', { buildId, error: messageOf(thrown) });
      });
    };
    const subscription = this.#redis.subscribe(askChannel(buildId), (text) => {
      // The first call says that listening has begun.
      const asked = text === '' ? ({ type: 'who' } as const) : parsed(Asked, text);
      if (asked?.type === 'who') tell({ type: 'here' });
      else if (asked !== undefined) onAsk(asked);
    });
    return {
      answer: tell,
      [Symbol.dispose]: () => {
        subscription[Symbol.dispose]();
        tell({ type: 'gone' });
      },
    };
  }
}

export interface SessionSeat extends Disposable {
  answer(answer: SessionAnswer): void;
}

function parsed<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

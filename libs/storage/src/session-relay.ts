import type { Digest } from '#oci';
import { MAX_ASKED_FILES, SessionAnswer, SessionAsk } from '#protocol';
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
const ATTEMPTS = 2;

export interface SessionCallerOptions {
  readonly redis: RedisLink;
  readonly buildId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly readyMs?: number | undefined;
}

type Question = { readonly type: 'ask'; readonly agent: string; readonly message: string } | FilesQuestion;
interface FilesQuestion {
  readonly type: 'files';
  readonly digests: Digest[];
}
const SILENT = 'silent';

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
    await this.#arrived(forwarding(agent), signal);
  }

  /** @throws KilnError STEP_FAILED when the client has left, or its agent fails */
  async ask(agent: string, message: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#pending.size >= MAX_PENDING) throw new KilnError('STEP_FAILED', 'too much is asked of the ssh agent');
    const question: Question = { type: 'ask', agent, message: Buffer.from(message).toString('base64') };
    const told = await this.#answer(question, forwarding(agent), signal);
    if (told.type === 'answer') return Buffer.from(told.message, 'base64');
    throw new KilnError('STEP_FAILED', `the ssh agent ${agent} failed${whyOf(told)}`);
  }

  /**
   * Has the client send files of its contexts; resolves when it says that they are with the farm.
   * @throws KilnError CONTEXT_INVALID when it has left, or cannot
   */
  async files(digests: readonly Digest[], signal: AbortSignal): Promise<void> {
    for (let at = 0; at < digests.length; at += MAX_ASKED_FILES) {
      const question: Question = { type: 'files', digests: digests.slice(at, at + MAX_ASKED_FILES) };
      const told = await this.#answer(question, SENDING, signal);
      if (told.type === 'sent') continue;
      throw new KilnError('CONTEXT_INVALID', `the client could not send files of the context${whyOf(told)}`, {
        hint: 'build again when nothing writes to the context',
      });
    }
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    for (const settle of this.#pending.values()) settle(undefined);
  }

  /** No question does harm when it is asked twice. */
  async #answer(question: Question, who: Client, signal: AbortSignal): Promise<SessionAnswer> {
    for (let attempt = 1; ; attempt++) {
      await this.#arrived(who, signal);
      const told = await this.#once(question, signal);
      if (told !== undefined) return told;
      // It left with the question: it may be back.
      if (attempt === ATTEMPTS) throw lost(who);
    }
  }

  async #arrived(who: Client, signal: AbortSignal): Promise<void> {
    const { clock, readyMs = READY_MS } = this.#options;
    const untilMs = clock.nowMs() + readyMs;
    while (!this.#here) {
      signal.throwIfAborted();
      if (clock.nowMs() >= untilMs) throw lost(who);
      await this.#publish({ type: 'who' });
      await this.#arrival(signal);
    }
  }

  async #once(question: Question, signal: AbortSignal): Promise<SessionAnswer | undefined> {
    const { clock, random } = this.#options;
    const id = randomId(random, 20);
    const answered = Promise.withResolvers<SessionAnswer | undefined>();
    let heardAtMs = clock.nowMs();
    this.#pending.set(id, (told) => {
      if (told?.type === 'working') heardAtMs = clock.nowMs();
      else answered.resolve(told);
    });
    try {
      if (!(await this.#publish({ ...question, id }))) {
        this.#here = false;
        return undefined;
      }
      for (;;) {
        const told = await this.#within(answered.promise, signal);
        if (told !== SILENT) return told;
        if (clock.nowMs() - heardAtMs >= ANSWER_MS) return undefined;
      }
    } finally {
      this.#pending.delete(id);
    }
  }

  async #within<T>(answered: Promise<T>, signal: AbortSignal): Promise<T | typeof SILENT> {
    const done = new AbortController();
    try {
      const timeout = this.#options.clock
        .sleep(ANSWER_MS, AbortSignal.any([signal, done.signal]))
        .then((): typeof SILENT => SILENT)
        .catch((): typeof SILENT => SILENT);
      const told = await Promise.race([answered, timeout]);
      signal.throwIfAborted();
      return told;
    } finally {
      done.abort();
    }
  }

  #told(text: string): void {
    const told = parsed(Told, text);
    if (told === undefined) return;
    if ('id' in told) return this.#pending.get(told.id)?.(told);
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

/** For whom a builder waits, and what it is told when that one does not come. */
interface Client {
  readonly what: string;
  readonly code: 'STEP_FAILED' | 'CONTEXT_INVALID';
}

const SENDING: Client = { what: 'the client that sends the context', code: 'CONTEXT_INVALID' };
const forwarding = (agent: string): Client => ({
  what: `the client that forwards the ssh agent ${JSON.stringify(agent)}`,
  code: 'STEP_FAILED',
});

function lost({ what, code }: Client): KilnError {
  return new KilnError(code, `${what} has left`, {
    hint: 'it has to stay until the build ends: do not interrupt it, and do not detach',
  });
}

const whyOf = (told: SessionAnswer): string => (told.type === 'failed' ? `: ${told.reason}` : '');

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

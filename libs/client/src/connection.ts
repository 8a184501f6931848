import { type Dispatcher, request, WebSocket } from 'undici';
import type { z } from 'zod';
import {
  type Bytes,
  collect,
  isKilnError,
  KilnError,
  kilnVersion,
  messageOf,
  retry,
  systemClock,
  type Clock,
  VERSION_HEADER,
} from '#std';
import { type ProxySettings, type Way, wayTo } from './farm-dispatcher.ts';
import type { Answer, ApiCall, ApiConnection } from './api-connection.ts';
import { guards, isJson, isOfFarm } from './of-a-farm.ts';
import { parseAnswer } from './parse-answer.ts';
import { readProblem } from './problem.ts';
import { whyUnreachable } from './why-unreachable.ts';

export interface ConnectionOptions {
  /** `http` or `https` URL of the farm */
  readonly baseUrl: string;
  readonly token?: string | undefined;
  readonly clock?: Clock | undefined;
  /** how requests travel: certificates, fakes */
  readonly dispatcher?: Dispatcher | undefined;
  /** on the way to any farm that is not on this machine */
  readonly proxy?: ProxySettings | undefined;
  /** what to do when nobody answers; by default to check KILN_URL */
  readonly unreachableHint?: string | undefined;
  /** what to do when the farm does not know the token; by default what it says itself */
  readonly unauthenticatedHint?: string | undefined;
}

/** One request, of whatever undici sends. */
export interface Call extends Omit<ApiCall, 'body'> {
  readonly body?: NonNullable<Dispatcher.DispatchOptions['body']>;
}

/** A request that another program made. */
export interface Forwarded {
  readonly method: Dispatcher.HttpMethod;
  /** below the farm's URL */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body?: Dispatcher.DispatchOptions['body'] | undefined;
  readonly signal: AbortSignal;
}

const ANSWER_MS = 30_000;
const IDLE_MS = 60_000;
const MAX_JSON_BYTES = 32 * 1024 * 1024;
/** Of a farm that is there and cannot. */
const ATTEMPTS = 4;
/** Of one that was there, and starts anew: about half a minute. */
const AWAY_ATTEMPTS = 16;
const PAUSES = { firstDelayMs: 250, maxDelayMs: 2_000 };

/** HTTP to one farm: every failure is a KilnError that names the farm and the next step. */
export class Connection implements ApiConnection {
  readonly clock: Clock;
  readonly #options: ConnectionOptions;
  readonly #own: Way | undefined;
  /** whether somebody ever was there */
  #answered = false;

  constructor(options: ConnectionOptions) {
    this.#options = { ...options, baseUrl: options.baseUrl.replace(/\/+$/, '') };
    this.clock = options.clock ?? systemClock;
    this.#own = options.dispatcher === undefined ? wayTo(options.baseUrl, options.proxy) : undefined;
  }

  /**
   * One request.
   * @throws KilnError FARM_UNREACHABLE, UNAVAILABLE when the connection breaks; what the farm's problem document says
   */
  async call(call: Call): Promise<Answer> {
    const { baseUrl, token, dispatcher = this.#own?.dispatcher } = this.#options;
    const answer = await this.#named(call.signal, () =>
      request(`${baseUrl}${call.path}`, {
        method: call.method ?? 'GET',
        headers: {
          accept: 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...call.headers,
        },
        headersTimeout: call.answerMs ?? ANSWER_MS,
        bodyTimeout: call.idleMs ?? IDLE_MS,
        ...(dispatcher === undefined ? {} : { dispatcher }),
        ...(call.body === undefined ? {} : { body: call.body }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      }),
    );
    if (isRedirect(answer.statusCode)) {
      await answer.body.dump();
      throw this.#redirected(answer.headers['location']);
    }
    const { statusCode: status, headers } = answer;
    const isFarms = isOfFarm(headers);
    if (isFarms) this.#answered = true;
    const body = this.#chunks(answer.body, call.signal);
    if (status < 400) return { status, headers, body };
    const unsaid = isFarms || guards.has(status) ? undefined : this.#noFarm(`it answers ${status}`);
    throw this.#hinted(await readProblem(status, body, unsaid), headers);
  }

  /**
   * One request of somebody else, with this one's token: whatever the farm answers is passed on, and nobody's patience ends it.
   * @throws KilnError FARM_UNREACHABLE, UNAVAILABLE when the connection breaks
   */
  async forward({ method, path, headers, body, signal }: Forwarded): Promise<Answer> {
    const { baseUrl, token, dispatcher = this.#own?.dispatcher } = this.#options;
    const answer = await this.#named(signal, () =>
      request(`${baseUrl}${path}`, {
        method,
        headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
        headersTimeout: 0,
        bodyTimeout: 0,
        signal,
        ...(dispatcher === undefined ? {} : { dispatcher }),
        ...(body === undefined ? {} : { body }),
      }),
    );
    if (isRedirect(answer.statusCode)) {
      await answer.body.dump();
      throw this.#redirected(answer.headers['location']);
    }
    return { status: answer.statusCode, headers: answer.headers, body: this.#chunks(answer.body, signal) };
  }

  /** An answer in JSON; GETs are tried again while the farm is away for a moment. */
  async json<T>(schema: z.ZodType<T>, call: Call): Promise<T> {
    const once = async (): Promise<T> => {
      const { body, headers } = await this.call(call);
      const text = (await collect(body, call.maxBytes ?? MAX_JSON_BYTES)).toString();
      if (!isOfFarm(headers) && !isJson(text)) throw this.#noFarm('its answer is no JSON');
      return parseAnswer(schema, text, call.path, versionHint(headers));
    };
    if ((call.method ?? 'GET') !== 'GET') return once();
    return this.retrying(call.signal, once);
  }

  /** A WebSocket at a path below the farm's URL. */
  socket(path: string): WebSocket {
    const { baseUrl, token, dispatcher = this.#own?.dispatcher } = this.#options;
    return new WebSocket(`${baseUrl.replace(/^http/, 'ws')}${path}`, {
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
      ...(dispatcher === undefined ? {} : { dispatcher }),
    });
  }

  /**
   * Runs what may be repeated, a few times with pauses, while the farm is away for a moment. A farm that never answered is
   * not there: that is told at once.
   */
  retrying<T>(signal: AbortSignal | undefined, work: (attempt: number) => Promise<T>): Promise<T> {
    let failures = 0;
    const retryable = (thrown: unknown): boolean => {
      if (isKilnError(thrown, 'FARM_UNREACHABLE')) return this.#answered;
      return isKilnError(thrown, 'UNAVAILABLE', 'RATE_LIMITED') && ++failures < ATTEMPTS;
    };
    return retry({ ...PAUSES, attempts: AWAY_ATTEMPTS, clock: this.clock, retryable, signal }, work);
  }

  async close(): Promise<void> {
    await this.#own?.dispatcher.destroy();
  }

  #hinted(error: KilnError, headers: Answer['headers']): KilnError {
    const { unauthenticatedHint } = this.#options;
    const hint = error.code === 'UNAUTHENTICATED' ? (unauthenticatedHint ?? error.hint) : error.hint;
    // Another version may not know what is asked.
    const version = isKilnError(error, 'INVALID_ARGUMENT', 'NOT_FOUND') ? versionHint(headers) : undefined;
    const hints = [hint, version].filter((each) => each !== undefined);
    if (hints.join('\n') === (error.hint ?? '')) return error;
    return new KilnError(error.code, error.message, { hint: hints.join('\n'), field: error.field, cause: error });
  }

  /** Somebody answers, and not as a farm does: what stands before one that is away, or another server. */
  #noFarm(why: string): KilnError {
    const { baseUrl, unreachableHint } = this.#options;
    return new KilnError('FARM_UNREACHABLE', `what answers at ${baseUrl} is no farm: ${why}`, {
      hint: unreachableHint ?? 'check KILN_URL, and what stands between here and the farm',
    });
  }

  /** Never followed: whoever answers there might get the token. */
  #redirected(location: string | string[] | undefined): KilnError {
    const to = URL.parse([location].flat()[0] ?? '', this.#options.baseUrl)?.origin ?? 'somewhere else';
    return new KilnError('FARM_UNREACHABLE', `${this.#options.baseUrl} is no farm: it redirects to ${to}`, {
      hint: 'if that is the farm, name that address; a redirect is not followed, since the token would go along',
    });
  }

  async *#chunks(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Bytes {
    const chunks = body[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#named(signal, () => chunks.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await chunks.return?.();
    }
  }

  async #named<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      signal?.throwIfAborted();
      if (isKilnError(cause)) throw cause;
      const { baseUrl, unreachableHint } = this.#options;
      const reason = whyUnreachable(cause);
      if (reason === undefined) {
        this.#answered = true;
        throw new KilnError('UNAVAILABLE', `the connection to the farm at ${baseUrl} broke (${messageOf(cause)})`, {
          hint: 'try again; if it stays, look at the farm',
          cause,
        });
      }
      throw new KilnError(
        'FARM_UNREACHABLE',
        `cannot reach the farm at ${baseUrl}${this.#own?.proxy === undefined ? '' : ` through the proxy ${this.#own.proxy}`} (${reason})`,
        {
          hint: unreachableHint ?? 'check KILN_URL, or run without it to use an embedded farm',
          cause,
        },
      );
    }
  }
}

const isRedirect = (status: number): boolean => status >= 300 && status < 400 && status !== 304;

const own = kilnVersion();

/** Undefined for a farm of this version, and for one that does not say. */
function versionHint(headers: Answer['headers']): string | undefined {
  const theirs = [headers[VERSION_HEADER]].flat()[0];
  if (theirs === undefined || theirs === own) return undefined;
  return `the farm is Kiln ${theirs} and this is Kiln ${own}: use the same version`;
}

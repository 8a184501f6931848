import type { IncomingHttpHeaders } from 'node:http';
import {
  Egress,
  type EgressPolicy,
  guardedConnector,
  type HostLookup,
  lookupBySystem,
  type TrustStore,
} from '#registry';
import { withoutCredentials } from '#graph';
import { KilnError } from '#std';
import { Agent, type Dispatcher } from 'undici';
import { noAnswer, RemoteError } from './remote-failure.ts';

export interface WebOptions {
  readonly egress: EgressPolicy;
  readonly trust: TrustStore;
  /** name resolution; the system's by default */
  readonly lookup?: HostLookup | undefined;
  readonly connectTimeoutMs?: number | undefined;
  /** until an answer begins, and between two of its chunks */
  readonly idleTimeoutMs?: number | undefined;
}

export interface WebReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** must be read, dumped or destroyed */
  readonly body: Dispatcher.ResponseData['body'];
}

const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;
const MAX_REDIRECTS = 10;
const CONNECTIONS_PER_HOST = 8;

/** Reads from the web what a Dockerfile names: every connection, that of each redirect too, is judged by the egress rules. */
export class WebClient implements AsyncDisposable {
  readonly #agent: Agent;

  constructor({ egress, trust, lookup, connectTimeoutMs, idleTimeoutMs = IDLE_TIMEOUT_MS }: WebOptions) {
    this.#agent = new Agent({
      connections: CONNECTIONS_PER_HOST,
      connect: guardedConnector({
        egress: new Egress(egress),
        lookup: lookup ?? lookupBySystem,
        trust,
        timeoutMs: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      }),
      headersTimeout: idleTimeoutMs,
      bodyTimeout: idleTimeoutMs,
    });
  }

  /**
   * The answer to a GET, redirects followed. User and password of the URL are sent to its own origin alone.
   * @throws RemoteError UPSTREAM_UNAVAILABLE, STEP_FAILED when there is no answer; every status is an answer
   */
  async get(start: URL, headers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<WebReply> {
    const authorization = basic(start);
    let url = start;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const own = url.origin === start.origin;
      const reply = await this.#once(
        url,
        {
          ...headers,
          ...(own && authorization !== undefined ? { authorization } : {}),
        },
        signal,
      );
      const { location } = reply.headers;
      if (![301, 302, 303, 307, 308].includes(reply.status)) return reply;
      await reply.body.dump();
      url = next(url, location);
    }
    throw new RemoteError('STEP_FAILED', `${withoutCredentials(start.href)} redirects in a circle`, {
      hint: 'check the URL',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #once(url: URL, headers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<WebReply> {
    signal?.throwIfAborted();
    try {
      const answer = await this.#agent.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: 'GET',
        headers: { 'user-agent': 'kiln', ...headers },
        signal: signal ?? null,
      });
      return { status: answer.statusCode, headers: answer.headers, body: answer.body };
    } catch (thrown) {
      signal?.throwIfAborted();
      throw noAnswer(withoutCredentials(url.href), thrown);
    }
  }
}

function basic({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  return `Basic ${Buffer.from(`${unescaped(username)}:${unescaped(password)}`, 'latin1').toString('base64')}`;
}

/** A character for each byte, whatever encoding these are of. */
function unescaped(text: string): string {
  return text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** @throws RemoteError STEP_FAILED for a redirect to what is not the web */
function next(from: URL, location: string | string[] | undefined): URL {
  const shown = withoutCredentials(from.href);
  if (typeof location !== 'string' || !URL.canParse(location, from)) {
    throw new RemoteError('STEP_FAILED', `${shown} redirects to nowhere`, { hint: 'check the URL' });
  }
  const to = new URL(location, from);
  if (to.protocol !== 'http:' && to.protocol !== 'https:') {
    throw new RemoteError('STEP_FAILED', `${shown} redirects to ${to.protocol}, which is not the web`, {
      hint: 'check the URL',
    });
  }
  return to;
}

/** @throws KilnError DOCKERFILE_INVALID for what is no URL of the web */
export function webUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new KilnError('DOCKERFILE_INVALID', `not a URL: ${JSON.stringify(withoutCredentials(text))}`);
  }
  if (/%(?![0-9a-f]{2})/i.test(`${url.username}${url.password}`)) {
    throw new KilnError('DOCKERFILE_INVALID', `the URL ${withoutCredentials(text)} has a % that begins no escape`, {
      hint: 'write %25 for a % in its user or password',
    });
  }
  return url;
}

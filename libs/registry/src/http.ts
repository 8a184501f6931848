import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { type Bytes, KilnError, messageOf } from '#std';
import { Agent, type Dispatcher } from 'undici';
import { guardedConnector, type HostLookup } from './connector.ts';
import { Egress, type EgressPolicy } from './egress.ts';
import type { TrustStore } from './trust-store.ts';
import { transportFailure } from './registry-error.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface HttpRequest {
  readonly method: Method;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | Bytes | undefined;
  readonly signal?: AbortSignal | undefined;
  /** until the answer begins, from the last byte of the body on; 30 s by default */
  readonly headersTimeoutMs?: number | undefined;
  /** to a host that the operator configured as a mirror, wherever it is */
  readonly toMirror: boolean;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** must be read, dumped or destroyed */
  readonly body: Dispatcher.ResponseData['body'];
  readonly url: URL;
}

export interface HttpOptions {
  readonly egress: EgressPolicy;
  readonly mirrorHosts: readonly string[];
  readonly lookup: HostLookup;
  readonly trust: TrustStore;
  readonly connectTimeoutMs: number;
  readonly userAgent: string;
}

const HEADERS_TIMEOUT_MS = 30_000;
const IDLE_TIMEOUT_MS = 60_000;
const CONNECTIONS_PER_HOST = 16;

/** One request, one answer: no redirects, no authentication, no retries. */
export class Http {
  readonly #agent: Agent;
  readonly #mirrorAgent: Agent;

  constructor(readonly options: HttpOptions) {
    const agent = (policy: EgressPolicy): Agent =>
      new Agent({
        connections: CONNECTIONS_PER_HOST,
        connect: guardedConnector({
          egress: new Egress(policy),
          lookup: options.lookup,
          trust: options.trust,
          timeoutMs: options.connectTimeoutMs,
        }),
        headersTimeout: HEADERS_TIMEOUT_MS,
        bodyTimeout: IDLE_TIMEOUT_MS,
      });
    this.#agent = agent(options.egress);
    this.#mirrorAgent = agent({ allow: [...options.egress.allow, ...options.mirrorHosts] });
  }

  /** @throws RegistryError when there is no answer; what `body` throws, as it is */
  async request({ method, url, headers, body, signal, headersTimeoutMs, toMirror }: HttpRequest): Promise<Reply> {
    signal?.throwIfAborted();
    const source: { failure?: Error } = {};
    try {
      const answer = await (toMirror ? this.#mirrorAgent : this.#agent).request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: { 'user-agent': this.options.userAgent, ...headers },
        body: body === undefined || body instanceof Uint8Array ? (body ?? null) : readable(body, source),
        signal: signal ?? null,
        headersTimeout: headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      });
      return { status: answer.statusCode, headers: answer.headers, body: answer.body, url };
    } catch (thrown) {
      signal?.throwIfAborted();
      if (source.failure !== undefined) throw source.failure;
      if (thrown instanceof KilnError) throw thrown;
      throw transportFailure(thrown, url.host);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#agent.destroy(), this.#mirrorAgent.destroy()]);
  }
}

/** Remembers why the source failed: the connection's own error would hide it. */
function readable(body: Bytes, source: { failure?: Error }): Readable {
  return Readable.from(
    (async function* () {
      try {
        yield* body;
      } catch (thrown) {
        source.failure = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
        throw source.failure;
      }
    })(),
    { objectMode: false },
  );
}

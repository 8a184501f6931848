import { Egress, type EgressPolicy, guardedConnector, lookupBySystem, TrustStore } from '#registry';
import { collect } from '#std';
import { Agent, request } from 'undici';

export interface WebAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface WebRequest {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 256 * 1024;
const CONNECTIONS_PER_HOST = 4;

/** Requests to issuers: bounded in time and size, without redirects, to nowhere that the egress rules forbid. */
export class GuardedWeb implements AsyncDisposable {
  readonly #agent: Agent;

  constructor(egress: EgressPolicy) {
    this.#agent = new Agent({
      connections: CONNECTIONS_PER_HOST,
      connect: guardedConnector({
        egress: new Egress(egress),
        lookup: lookupBySystem,
        trust: new TrustStore([]),
        timeoutMs: TIMEOUT_MS,
      }),
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
  }

  /** Whatever stands in the way is thrown as it comes. */
  async ask(url: string, { method = 'GET', headers = {}, body }: WebRequest = {}): Promise<WebAnswer> {
    const answer = await request(url, {
      dispatcher: this.#agent,
      method,
      headers: { accept: 'application/json', 'user-agent': 'kiln', ...headers },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { status: answer.statusCode, headers: answer.headers, body: await collect(answer.body, MAX_BYTES) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }
}

import type { Bytes } from '#std';
import type { Authorizer } from './authorizer.ts';
import { type Endpoint, speaksPlainHttp } from './endpoint.ts';
import type { Http, Method, Reply } from './http.ts';
import { referredFailure, RegistryError } from './registry-error.ts';

/** A request to one server. */
export interface Call {
  readonly endpoint: Endpoint;
  readonly method: Method;
  /** below `/v2/<repository>/`, or where the server sent us */
  readonly target: string | URL;
  /** what a token must permit */
  readonly scopes: readonly string[];
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** opened anew for each try */
  readonly body?: (() => Uint8Array | Bytes) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly headersTimeoutMs?: number | undefined;
}

const MAX_REDIRECTS = 5;

/** Requests with authentication and redirects. */
export class Transport {
  constructor(
    readonly http: Http,
    readonly authorizer: Authorizer,
    readonly plainHttp: readonly string[],
  ) {}

  /** @throws RegistryError when there is no answer; every status is an answer */
  async send(call: Call): Promise<Reply> {
    const { endpoint, target, scopes, signal } = call;
    const url = typeof target === 'string' ? new URL(`/v2/${endpoint.repository}/${target}`, endpoint.origin) : target;
    const own = url.origin === endpoint.origin;
    const authorization = own ? await this.authorizer.header(endpoint, scopes, signal) : undefined;
    let reply = await this.#once(call, url, authorization);
    if (reply.status === 401 && own && this.authorizer.challenged(endpoint, scopes, reply.headers, authorization)) {
      const answer = await this.authorizer.header(endpoint, scopes, signal);
      if (answer !== undefined) {
        await reply.body.dump();
        reply = await this.#once(call, url, answer);
      }
    }
    return call.method === 'GET' || call.method === 'HEAD' ? this.#follow(call, reply) : reply;
  }

  /**
   * Where a server's Location leads.
   * @throws RegistryError for a missing or unreadable one, and for one that leaves TLS
   */
  locate(endpoint: Endpoint, reply: Reply): URL {
    const { location } = reply.headers;
    if (typeof location !== 'string' || !URL.canParse(location, reply.url)) {
      throw new RegistryError('REGISTRY_FAILED', `${endpoint.host} answered ${reply.status} without a usable Location`);
    }
    const url = new URL(location, reply.url);
    // Registries behind a proxy that ends TLS do not know that they are spoken to by https.
    if (url.hostname === reply.url.hostname && reply.url.protocol === 'https:' && url.protocol === 'http:') {
      url.protocol = 'https:';
      url.port = reply.url.port;
    }
    const plain =
      url.protocol === 'http:' && (url.origin === reply.url.origin || speaksPlainHttp(url.host, this.plainHttp));
    if (url.protocol !== 'https:' && !plain) {
      throw new RegistryError('REGISTRY_FAILED', `${endpoint.host} refers to ${url.host} without encryption`, {
        hint: `if that is right, configure ${url.host} as a plain HTTP host`,
      });
    }
    return url;
  }

  /** Other hosts (a cloud's blob storage) get no credentials of ours. */
  async #follow(call: Call, first: Reply): Promise<Reply> {
    let reply = first;
    for (let hop = 0; [301, 302, 303, 307, 308].includes(reply.status); hop++) {
      if (hop === MAX_REDIRECTS) {
        await reply.body.dump();
        throw new RegistryError('REGISTRY_FAILED', `${call.endpoint.host} redirects in a circle`);
      }
      await reply.body.dump();
      const url = this.locate(call.endpoint, reply);
      const { endpoint, scopes, signal } = call;
      const own = url.origin === endpoint.origin;
      try {
        reply = await this.#once(call, url, own ? await this.authorizer.header(endpoint, scopes, signal) : undefined);
      } catch (thrown) {
        throw referredFailure(thrown, call.endpoint.host);
      }
    }
    return reply;
  }

  #once(call: Call, url: URL, authorization: string | undefined): Promise<Reply> {
    const { endpoint, method, body, signal, headersTimeoutMs } = call;
    return this.http.request({
      method,
      url,
      headers: { ...call.headers, ...(authorization === undefined ? {} : { authorization }) },
      body: body?.(),
      signal,
      headersTimeoutMs,
      toMirror: endpoint.kind !== 'registry',
    });
  }
}

import type { IncomingHttpHeaders } from 'node:http';
import { type Clock, collect } from '#std';
import { z } from 'zod';
import { type Challenge, parseChallenge } from './challenge.ts';
import { type Endpoint, speaksPlainHttp } from './endpoint.ts';
import type { Http, HttpRequest } from './http.ts';
import type { RegistryAuth } from './options.ts';
import { RegistryError, referredFailure } from './registry-error.ts';
import { type Standing, statusFailure } from './status-failure.ts';

const TokenSchema = z.object({
  token: z.string().min(1).optional(),
  access_token: z.string().min(1).optional(),
  expires_in: z.number().nonnegative().optional(),
});

const TOKEN_LIMIT_BYTES = 256 * 1024;
/** What a token is good for at least: https://distribution.github.io/distribution/spec/auth/token/ */
const DEFAULT_LIFETIME_S = 60;
const SLACK_MS = 10_000;
/** For a token, from the question to the answer's end. */
const PATIENCE_MS = 60_000;

interface Token {
  readonly value: string;
  readonly goodUntilMs: number;
}

type BearerChallenge = Extract<Challenge, { scheme: 'bearer' }>;

export interface AuthorizerOptions {
  readonly http: Http;
  readonly clock: Clock;
  readonly credentials: (registry: string) => Promise<RegistryAuth | null>;
  readonly plainHttp: readonly string[];
}

/** Answers challenges, and keeps what it was given as long as it is good. */
export class Authorizer {
  readonly #challenges = new Map<string, Challenge>();
  readonly #tokens = new Map<string, Promise<Token>>();
  /** what a server did not take although it should have been good */
  readonly #refused = new Set<string>();
  readonly #secrets = new Set<string>();

  constructor(readonly options: AuthorizerOptions) {}

  /** The Authorization header for a server that has challenged us before. @param signal of who waits for it */
  async header(
    endpoint: Endpoint,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    signal?.throwIfAborted();
    const challenge = this.#challenges.get(endpoint.origin);
    if (challenge === undefined) return undefined;
    const auth = await this.options.credentials(endpoint.host);
    if (challenge.scheme === 'basic') return auth === null ? undefined : this.#basic(auth, endpoint);
    // Others may wait for the same token: who leaves does not end what they wait for.
    return `Bearer ${await whileWaited(this.#token(endpoint, challenge, auth, scopes), signal)}`;
  }

  /**
   * Takes note of a 401. Whether asking again can help.
   * @param sent what the request said; a token that came meanwhile, for others that were refused too, is kept
   */
  challenged(
    endpoint: Endpoint,
    scopes: readonly string[],
    headers: IncomingHttpHeaders,
    sent: string | undefined,
  ): boolean {
    const challenge = parseChallenge(headers['www-authenticate']);
    if (challenge === undefined) return false;
    this.#challenges.set(endpoint.origin, challenge);
    if (sent !== undefined) this.#refused.add(sent);
    return challenge.scheme === 'bearer' || sent === undefined;
  }

  /** As what a server knows us. */
  async standing(endpoint: Endpoint): Promise<Standing> {
    if ((await this.options.credentials(endpoint.host)) === null) return 'anonymous';
    return this.#challenges.get(endpoint.origin)?.scheme === 'bearer' ? 'token' : 'password';
  }

  /** Takes our secrets out of a text that a server wrote. */
  readonly redact = (text: string): string =>
    [...this.#secrets].reduce((clean, secret) => clean.replaceAll(secret, '[redacted]'), text);

  #basic(auth: RegistryAuth, endpoint: Endpoint): string {
    if ('identityToken' in auth) {
      throw new RegistryError(
        'REGISTRY_DENIED',
        `${endpoint.host} wants a password, but there is only an identity token`,
        {
          hint: `sign in again: docker login ${endpoint.host}`,
        },
      );
    }
    const encoded = Buffer.from(`${auth.username}:${auth.password}`).toString('base64');
    this.#remember(auth.password, encoded);
    return `Basic ${encoded}`;
  }

  #remember(...secrets: readonly string[]): void {
    for (const secret of secrets) if (secret !== '') this.#secrets.add(secret);
  }

  async #token(
    endpoint: Endpoint,
    challenge: BearerChallenge,
    auth: RegistryAuth | null,
    scopes: readonly string[],
  ): Promise<string> {
    const key = keyOf(endpoint, scopes);
    const known = this.#tokens.get(key);
    if (known !== undefined) {
      const { value, goodUntilMs } = await known;
      if (this.options.clock.nowMs() < goodUntilMs && !this.#refused.has(`Bearer ${value}`)) return value;
    }
    // Requests in parallel share one token: another may have asked while we awaited.
    let asked = this.#tokens.get(key);
    if (asked === undefined || asked === known) {
      asked = this.#ask(endpoint, challenge, auth, scopes);
      this.#tokens.set(key, asked);
      const mine = asked;
      mine.catch(() => this.#tokens.get(key) === mine && this.#tokens.delete(key));
    }
    return (await asked).value;
  }

  async #ask(
    endpoint: Endpoint,
    challenge: BearerChallenge,
    auth: RegistryAuth | null,
    scopes: readonly string[],
  ): Promise<Token> {
    const { http, clock, plainHttp } = this.options;
    const url = this.#realm(endpoint, challenge, auth !== null, plainHttp);
    const nowMs = clock.nowMs();
    const late = AbortSignal.timeout(PATIENCE_MS);
    try {
      const asked = this.#tokenRequest(url, endpoint, challenge.service, auth, scopes);
      const reply = await http.request({ ...asked, signal: late });
      if (reply.status !== 200) {
        throw await statusFailure(reply, {
          endpoint,
          subject: endpoint.repository === '' ? 'the account' : `a token for ${endpoint.repository}`,
          kind: 'token',
          standing: auth === null ? 'anonymous' : 'password',
          nowMs,
          redact: this.redact,
        });
      }
      const answer = TokenSchema.safeParse(parseJson((await collect(reply.body, TOKEN_LIMIT_BYTES)).toString('utf8')));
      const value = answer.data?.token ?? answer.data?.access_token;
      if (value === undefined) {
        throw new RegistryError('REGISTRY_FAILED', `the token service of ${endpoint.host} did not answer with a token`);
      }
      this.#remember(value);
      const lifetimeMs = (answer.data?.expires_in || DEFAULT_LIFETIME_S) * 1000;
      return { value, goodUntilMs: nowMs + Math.max(lifetimeMs - SLACK_MS, lifetimeMs / 2) };
    } catch (thrown) {
      if (!late.aborted) throw referredFailure(thrown, endpoint.host);
      const message = `the token service of ${endpoint.host} does not come to an end of its answer`;
      throw new RegistryError('REGISTRY_FAILED', message, { cause: thrown, transient: true });
    }
  }

  /** Where tokens come from. A registry can name any place; credentials go there only under TLS, or where HTTP is configured. */
  #realm(endpoint: Endpoint, { realm }: BearerChallenge, secret: boolean, plainHttp: readonly string[]): URL {
    const url = URL.canParse(realm) ? new URL(realm) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw new RegistryError('REGISTRY_FAILED', `${endpoint.host} names no usable token service`);
    }
    const configured = speaksPlainHttp(url.host, plainHttp) || url.origin === endpoint.origin;
    if (secret && url.protocol === 'http:' && !configured) {
      throw new RegistryError(
        'REGISTRY_DENIED',
        `${endpoint.host} wants credentials sent to ${url.host} without encryption`,
        { hint: `if ${url.host} is to be trusted with that, configure it as a plain HTTP host` },
      );
    }
    return url;
  }

  #tokenRequest(
    url: URL,
    endpoint: Endpoint,
    service: string | undefined,
    auth: RegistryAuth | null,
    scopes: readonly string[],
  ): HttpRequest {
    const toMirror = endpoint.kind !== 'registry';
    if (auth !== null && 'identityToken' in auth) {
      this.#remember(auth.identityToken);
      const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: auth.identityToken });
      form.set('client_id', 'kiln');
      form.set('scope', scopes.join(' '));
      if (service !== undefined) form.set('service', service);
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      return { method: 'POST', url, headers, body: Buffer.from(form.toString()), toMirror };
    }
    if (service !== undefined) url.searchParams.set('service', service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    if (auth !== null) url.searchParams.set('account', auth.username);
    return {
      method: 'GET',
      url,
      headers: auth === null ? {} : { authorization: this.#basic(auth, endpoint) },
      toMirror,
    };
  }
}

/** What work comes to, or the signal's reason where that comes first. */
async function whileWaited<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  const gone = Promise.withResolvers<never>();
  const onAbort = (): void => gone.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, gone.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function keyOf({ origin }: Endpoint, scopes: readonly string[]): string {
  return [origin, ...scopes].join(' ');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

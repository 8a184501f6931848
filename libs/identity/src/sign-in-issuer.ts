import type { EgressPolicy } from '#registry';
import { isKilnError, KilnError, messageOf } from '#std';
import { decodeProtectedHeader } from 'jose';
import * as oidc from 'openid-client';
import { z } from 'zod';
import { ALGORITHMS } from './algorithms.ts';
import { GuardedWeb } from './guarded-web.ts';

export interface SignInIssuerOptions {
  /** as id tokens name it in `iss`; https, or on loopback */
  readonly issuer: string;
  readonly clientId: string;
  /** none for a client that cannot keep one */
  readonly clientSecret: string | undefined;
  /** with blanks between */
  readonly scopes: string;
  /** where the issuer sends people back to, to the letter */
  readonly redirectUri: string;
  /** where it sends people who were signed out there, too */
  readonly signedOutUri: string;
  readonly egress: EgressPolicy;
}

/** What binds an answer of the issuer to the browser that was sent there. */
export interface SignInAttempt {
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/** Whom the issuer vouches for. */
export interface Vouched {
  readonly subject: string;
  /** its ASCII letters in lower case; null where there is none that the issuer has verified, and for what is not one address */
  readonly email: string | null;
}

const TIMEOUT_SECONDS = 10;
const TOLERANCE_SECONDS = 30;
const METADATA_TTL_MS = 3_600_000;
const Said = z.object({
  sub: z.string().regex(/^[^\0]{1,1000}$/),
  email: z.string().max(254).optional(),
  email_verified: z.union([z.boolean(), z.stringbool()]).optional(),
});
type Said = z.infer<typeof Said>;
const ADDRESS = /^[^\p{C}\s@]+@[^\p{C}\s@]+$/u;

/** An issuer at which people sign in, by the authorization code flow with PKCE. */
export class SignInIssuer implements AsyncDisposable {
  readonly #options: SignInIssuerOptions;
  readonly #web: GuardedWeb;
  #known: { readonly client: Promise<oidc.Configuration>; readonly untilMs: number } | undefined;

  /** as id tokens name it */
  readonly issuer: string;

  constructor(options: SignInIssuerOptions) {
    this.issuer = options.issuer;
    this.#options = options;
    this.#web = new GuardedWeb(options.egress);
  }

  /** Where a browser is sent. @throws KilnError UNAVAILABLE */
  async authorizationUrl({ state, nonce, codeVerifier }: SignInAttempt): Promise<URL> {
    const client = await this.#client();
    return oidc.buildAuthorizationUrl(client, {
      ...{ response_type: 'code', redirect_uri: this.#options.redirectUri, scope: this.#options.scopes, state, nonce },
      code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
    });
  }

  /**
   * Who came back.
   * @param query of the address that the issuer sent the browser to
   * @throws KilnError UNAUTHENTICATED when the answer, its code or its id token does not hold, UNAVAILABLE
   */
  async vouched(query: URLSearchParams, { state, nonce, codeVerifier }: SignInAttempt): Promise<Vouched> {
    const client = await this.#client();
    const answer = new URL(this.#options.redirectUri);
    answer.search = query.toString();
    try {
      const tokens = await oidc.authorizationCodeGrant(client, answer, {
        ...{ expectedState: state, expectedNonce: nonce, pkceCodeVerifier: codeVerifier, idTokenExpected: true },
      });
      const { alg } = decodeProtectedHeader(tokens.id_token ?? '');
      if (alg === undefined || !ALGORITHMS.includes(alg))
        throw new Error('the algorithm of its id token is not allowed');
      const said = Said.parse(tokens.claims());
      return vouchedOf(said.email === undefined ? await this.#asked(client, tokens.access_token, said) : said);
    } catch (thrown) {
      throw refusal(thrown);
    }
  }

  /** Where a browser is signed out there, too; undefined where the issuer has no such page. @throws KilnError UNAVAILABLE */
  async endSessionUrl(): Promise<URL | undefined> {
    const client = await this.#client();
    const end = client.serverMetadata().end_session_endpoint;
    if (end === undefined || !URL.canParse(end) || !this.#isTrusted(new URL(end))) return undefined;
    return oidc.buildEndSessionUrl(client, { post_logout_redirect_uri: this.#options.signedOutUri });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#web[Symbol.asyncDispose]();
  }

  /** Some issuers tell the address there alone. */
  async #asked(client: oidc.Configuration, accessToken: string, said: Said): Promise<Said> {
    if (client.serverMetadata().userinfo_endpoint === undefined) return said;
    return Said.parse(await oidc.fetchUserInfo(client, accessToken, said.sub));
  }

  async #client(): Promise<oidc.Configuration> {
    const nowMs = Date.now();
    if (this.#known === undefined || this.#known.untilMs <= nowMs) {
      const client = this.#discover();
      this.#known = { client, untilMs: nowMs + METADATA_TTL_MS };
      client.catch(() => (this.#known = undefined));
    }
    try {
      return await this.#known.client;
    } catch (thrown) {
      throw refusal(thrown);
    }
  }

  async #discover(): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecret } = this.#options;
    return await oidc.discovery(
      new URL(issuer),
      clientId,
      { [oidc.clockTolerance]: TOLERANCE_SECONDS },
      authentication(clientSecret),
      {
        // By itself it trusts what comes over TLS from the issuer, whoever signed it.
        execute: [oidc.enableNonRepudiationChecks, ...(issuer.startsWith('http:') ? [oidc.allowInsecureRequests] : [])],
        timeout: TIMEOUT_SECONDS,
        [oidc.customFetch]: (url, init) => this.#fetch(url, init),
      },
    );
  }

  /** Whatever it says of itself: encrypted, or at its own origin. */
  #isTrusted({ protocol, origin }: URL): boolean {
    return protocol === 'https:' || origin === new URL(this.#options.issuer).origin;
  }

  async #fetch(url: string, { method, headers, body }: oidc.CustomFetchOptions): Promise<Response> {
    if (!this.#isTrusted(new URL(url)))
      throw unavailable(`${url}: neither at the issuer’s own origin nor at an https URL`);
    try {
      const answer = await this.#web.ask(url, {
        method: method === 'POST' ? 'POST' : 'GET',
        headers,
        ...(body instanceof URLSearchParams ? { body: body.toString() } : {}),
      });
      const type = [answer.headers['content-type'] ?? []].flat()[0];
      return new Response(new Uint8Array(answer.body), {
        status: answer.status,
        ...(type === undefined ? {} : { headers: { 'content-type': type } }),
      });
    } catch (cause) {
      throw unavailable(`${url}: ${messageOf(cause)}`, cause);
    }
  }
}

/** As the issuer takes it. https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication */
function authentication(secret: string | undefined): oidc.ClientAuth {
  if (secret === undefined) return oidc.None();
  const [basic, post] = [oidc.ClientSecretBasic(secret), oidc.ClientSecretPost(secret)];
  return (server, ...more) => {
    const methods = server.token_endpoint_auth_methods_supported;
    return (methods === undefined || methods.includes('client_secret_basic') ? basic : post)(server, ...more);
  };
}

function vouchedOf({ sub: subject, email = '', email_verified: verified }: Said): Vouched {
  const known = verified === true && ADDRESS.test(email);
  // Unicode's lower case makes ASCII letters of others: somebody else's address.
  return { subject, email: known ? email.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()) : null };
}

const unavailable = (why: string, cause?: unknown): KilnError =>
  // For the log alone: people are told that it cannot be asked.
  new KilnError('UNAVAILABLE', 'the issuer at which people sign in cannot be asked', {
    cause: new Error(why, { cause }),
  });

/** What the issuer cannot be asked for is another thing than what does not hold. */
function refusal(thrown: unknown): KilnError {
  for (let cause = thrown; cause instanceof Error; cause = cause.cause) if (isKilnError(cause)) return cause;
  const code = thrown instanceof oidc.ClientError ? thrown.code : undefined;
  if (
    code !== undefined &&
    ['OAUTH_RESPONSE_IS_NOT_CONFORM', 'OAUTH_RESPONSE_IS_NOT_JSON', 'OAUTH_TIMEOUT'].includes(code)
  )
    return unavailable(messageOf(thrown), thrown);
  return new KilnError('UNAUTHENTICATED', `the issuer’s answer is refused: ${messageOf(thrown)}`, { cause: thrown });
}

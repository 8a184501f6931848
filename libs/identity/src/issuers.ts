import type { EgressPolicy } from '#registry';
import { type Clock, isKilnError, KilnError } from '#std';
import { createRemoteJWKSet, customFetch, decodeJwt, errors, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { ALGORITHMS } from './algorithms.ts';
import type { Claims } from './claims.ts';
import { unavailable, WebJson } from './web-json.ts';

export interface IssuersOptions {
  readonly egress: EgressPolicy;
  readonly clock: Clock;
  /** how soon after its keys were read an issuer is asked again for one that was not among them */
  readonly cooldownMs?: number | undefined;
}

const COOLDOWN_MS = 30_000;
const DISCOVERY_TTL_MS = 3_600_000;
const KEYS_TTL_MS = 600_000;
const TOLERANCE_SECONDS = 30;
const MAX_AGE_SECONDS = 86_400;
const MAX_ISSUERS = 256;

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.url({ protocol: /^https?$/ }) });
const Keys = z.object({ keys: z.array(z.looseObject({})) });

/** What a database can look for. */
const Text = z.string().regex(/^[^\0]{1,1000}$/);

interface Known {
  readonly keys: Promise<JWTVerifyGetKey>;
  readonly untilMs: number;
}

/** Who says that it issued a token; nothing of it is believed yet. @throws KilnError UNAUTHENTICATED */
export function issuerOf(token: string): string {
  try {
    const iss = Text.safeParse(decodeJwt(token).iss);
    if (iss.success) return iss.data;
  } catch (cause) {
    throw new KilnError('UNAUTHENTICATED', 'the id token is not a JSON web token', { cause });
  }
  throw new KilnError('UNAUTHENTICATED', 'the id token names no issuer');
}

/** Issuers of id tokens, with their keys. Nobody is asked but those that the caller names. */
export class Issuers implements AsyncDisposable {
  readonly #options: IssuersOptions;
  readonly #web: WebJson;
  readonly #known = new Map<string, Known>();

  constructor(options: IssuersOptions) {
    this.#options = options;
    this.#web = new WebJson(options.egress);
  }

  /**
   * What a token says, once its issuer's signature and its times hold. Whom it is for is for the caller to judge.
   * @throws KilnError UNAUTHENTICATED, UNAVAILABLE when the issuer cannot be asked
   */
  async verify(token: string, issuer: string): Promise<Claims> {
    const keys = await this.#keysOf(issuer);
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp', 'iat', 'aud', 'sub'],
        clockTolerance: TOLERANCE_SECONDS,
        maxTokenAge: MAX_AGE_SECONDS,
        currentDate: new Date(this.#options.clock.nowMs()),
      });
      return payload;
    } catch (thrown) {
      throw refusal(thrown, issuer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#web[Symbol.asyncDispose]();
  }

  async #keysOf(issuer: string): Promise<JWTVerifyGetKey> {
    const nowMs = this.#options.clock.nowMs();
    const known = this.#known.get(issuer);
    if (known !== undefined && known.untilMs > nowMs) return await known.keys;
    const keys = this.#discover(issuer);
    this.#known.delete(issuer);
    this.#known.set(issuer, { keys, untilMs: nowMs + DISCOVERY_TTL_MS });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_ISSUERS) break;
      this.#known.delete(oldest);
    }
    try {
      return await keys;
    } catch (thrown) {
      if (this.#known.get(issuer)?.keys === keys) this.#known.delete(issuer);
      throw thrown;
    }
  }

  async #discover(issuer: string): Promise<JWTVerifyGetKey> {
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const said = parse(Discovery, url, await this.#web.text(url));
    if (said.issuer !== issuer) throw unavailable(url, `it says that it is ${JSON.stringify(said.issuer)}`);
    const jwks = new URL(said.jwks_uri);
    if (jwks.protocol !== 'https:' && jwks.origin !== new URL(issuer).origin)
      throw unavailable(url, 'its keys are neither at its own origin nor at an https URL');
    return createRemoteJWKSet(jwks, {
      cooldownDuration: this.#options.cooldownMs ?? COOLDOWN_MS,
      cacheMaxAge: KEYS_TTL_MS,
      [customFetch]: async (address: string) => {
        const keys = parse(Keys, address, await this.#web.text(address));
        return Response.json(keys);
      },
    });
  }
}

function parse<T>(schema: z.ZodType<T>, url: string, text: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw unavailable(url, 'its answer is no JSON', cause);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw unavailable(url, `its answer is not understood: ${parsed.error.issues[0]?.path.join('.') ?? ''}`);
}

/** Why a token is not believed, as its holder is told. */
function refusal(thrown: unknown, issuer: string): KilnError {
  if (isKilnError(thrown)) return thrown;
  if (thrown instanceof errors.JWKSInvalid || thrown instanceof errors.JWKSTimeout)
    return unavailable(issuer, thrown.message, thrown);
  if (!(thrown instanceof errors.JOSEError) && !(thrown instanceof TypeError))
    return new KilnError('INTERNAL', 'an id token could not be verified', { cause: thrown });
  return new KilnError('UNAUTHENTICATED', `the id token is refused: ${reason(thrown)}`, { cause: thrown });
}

function reason(thrown: Error): string {
  if (thrown instanceof errors.JWTExpired) return 'it has expired';
  if (thrown instanceof errors.JWTClaimValidationFailed) return `its claim ${thrown.claim} does not hold`;
  if (thrown instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not allowed';
  if (thrown instanceof errors.JWKSMultipleMatchingKeys) return 'it does not say which of its issuer’s keys signed it';
  if (thrown instanceof errors.JWKSNoMatchingKey) return 'its issuer has no such key';
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return 'its signature is wrong';
  return 'it is not a signed JSON web token';
}

import { Inject, Injectable } from '@nestjs/common';
import type { RegistryCredentials } from '#protocol';
import { ConnectFailure, readTrust, RegistryClient, type TrustStore } from '#registry';
import { type Clock, isKilnError, KilnError, type Logger } from '#std';
import type { ApiConfig } from '../config.ts';
import { CLOCK, CONFIG, LOGGER } from '../tokens.ts';

/** At once: each is a connection to wherever somebody says. */
const MOST = 16;
const MOST_OF_PROJECT = 4;
/** Somebody waits for the answer. */
const PATIENCE_MS = 20_000;

export interface SignInAttempt {
  readonly projectId: string;
  /** as references name it */
  readonly host: string;
  readonly credentials: RegistryCredentials;
}

/** Asks registries whether they take credentials, under the rules that builds push by. */
@Injectable()
export class RegistrySignIn {
  readonly #config: ApiConfig;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** whose questions are on their way */
  readonly #asking: string[] = [];

  constructor(@Inject(CONFIG) config: ApiConfig, @Inject(CLOCK) clock: Clock, @Inject(LOGGER) logger: Logger) {
    this.#config = config;
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * @throws KilnError UNAUTHENTICATED where the registry does not take them, PERMISSION_DENIED for an address that pushes may
   * not reach either, REGISTRY_UNREACHABLE, REGISTRY_FAILED, RATE_LIMITED
   */
  async check({ projectId, host, credentials }: SignInAttempt, left: AbortSignal): Promise<void> {
    const own = this.#asking.filter((each) => each === projectId);
    if (this.#asking.length >= MOST || own.length >= MOST_OF_PROJECT)
      throw new KilnError('RATE_LIMITED', 'too many sign in at registries just now', { hint: 'try again' });
    this.#asking.push(projectId);
    const late = AbortSignal.timeout(PATIENCE_MS);
    try {
      await using client = this.#client(host, credentials);
      await client.signIn(host, AbortSignal.any([left, late]));
    } catch (thrown) {
      if (late.aborted) throw new KilnError('REGISTRY_UNREACHABLE', `${host} does not answer`, { cause: thrown });
      throw refusal(thrown);
    } finally {
      this.#asking.splice(this.#asking.indexOf(projectId), 1);
    }
  }

  #client(registry: string, credentials: RegistryCredentials): RegistryClient {
    const { KILN_EGRESS_ALLOW: allow, KILN_PLAIN_HTTP: plainHttp } = this.#config;
    return new RegistryClient({
      ...{ clock: this.#clock, logger: this.#logger, mirrors: [], plainHttp, egress: { allow }, trust: this.#trust() },
      credentials: (host) => Promise.resolve(host === registry ? credentials : null),
    });
  }

  /** Read anew: builders need the files, and the API may be where there are none. */
  #trust(): TrustStore {
    const { KILN_CA_BUNDLE, KILN_REGISTRY_CA } = this.#config;
    try {
      return readTrust(KILN_CA_BUNDLE, KILN_REGISTRY_CA);
    } catch (cause) {
      throw new KilnError('INTERNAL', 'the certificates that registries are trusted by cannot be read', { cause });
    }
  }
}

/** As whoever asks has to see it: what a build is denied is its failure, and a login that is denied is none. */
function refusal(thrown: unknown): unknown {
  if (!isKilnError(thrown, 'REGISTRY_DENIED', 'REGISTRY_UNREACHABLE')) return thrown;
  const { code, message, hint, cause } = thrown;
  if (code === 'REGISTRY_UNREACHABLE') {
    const check = 'check that the name is right, and the network of the farm’s API';
    return new KilnError(code, message, { hint: check, cause: thrown });
  }
  return cause instanceof ConnectFailure
    ? new KilnError('PERMISSION_DENIED', message, { hint, cause: thrown })
    : new KilnError('UNAUTHENTICATED', message, { cause: thrown });
}

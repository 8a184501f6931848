import { isKilnError, type Clock, type Logger, messageOf, type Random } from '#std';
import { type Endpoint, mirrorEndpoints, registryEndpoint } from './endpoint.ts';
import type { Mirror } from './options.ts';
import type { Reachability } from './reachability.ts';
import { RegistryError } from './registry-error.ts';
import type { Repository, Source } from './repository.ts';
import { withRetries } from './retries.ts';

export interface ReaderOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly mirrors: readonly Mirror[];
  readonly plainHttp: readonly string[];
  readonly reachability: Reachability;
}

export interface ReadOptions {
  /** origins that failed this transfer already; not asked again */
  readonly skip?: ReadonlySet<string> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Read<T> {
  readonly value: T;
  readonly endpoint: Endpoint;
}

const REGISTRY_ATTEMPTS = 4;
const STAND_IN_ATTEMPTS = 2;

/** Who is asked for what a build reads, and who after that. */
export class Reader {
  /** mirrors that sent wrong bytes: silent corruption does not heal by itself */
  readonly #distrusted = new Set<string>();

  constructor(readonly options: ReaderOptions) {}

  distrust(endpoint: Endpoint): void {
    if (endpoint.kind !== 'registry') this.#distrusted.add(endpoint.origin);
  }

  /** Mirrors, then the registry; stand-ins only when nobody of those is there at all. */
  async read<T>(source: Source, options: ReadOptions, work: (endpoint: Endpoint) => Promise<T>): Promise<Read<T>> {
    const { mirrors, plainHttp } = this.options;
    const others = mirrorEndpoints(source, mirrors).filter(({ origin }) => options.skip?.has(origin) !== true);
    const standIns = others.filter(({ kind }) => kind === 'stand-in');
    if (source.standIn === true) {
      const read = await this.#firstOf(standIns, options, work);
      if (read.found !== undefined) return read.found;
    }
    const mirrored = await this.#firstOf(
      others.filter(({ kind }) => kind === 'mirror'),
      options,
      work,
    );
    if (mirrored.found !== undefined) return mirrored.found;
    const registry = registryEndpoint(source, plainHttp);
    try {
      return { value: await this.#askRegistry(registry, standIns.length > 0, options, work), endpoint: registry };
    } catch (thrown) {
      options.signal?.throwIfAborted();
      const alone = isKilnError(thrown, 'REGISTRY_UNREACHABLE') && !mirrored.answered;
      if (!alone || standIns.length === 0 || source.standIn === true) throw thrown;
      const stood = await this.#firstOf(standIns, options, work);
      if (stood.found !== undefined) return stood.found;
      throw withoutStandIn(thrown, source);
    }
  }

  /** The first that gives it; and whether any of them is there, whatever it said. */
  async #firstOf<T>(
    endpoints: readonly Endpoint[],
    { signal }: ReadOptions,
    work: (endpoint: Endpoint) => Promise<T>,
  ): Promise<{ readonly found: Read<T> | undefined; readonly answered: boolean }> {
    const { reachability, logger } = this.options;
    let answered = false;
    for (const endpoint of endpoints) {
      if (this.#distrusted.has(endpoint.origin)) answered = true;
      if (this.#distrusted.has(endpoint.origin) || reachability.isAvoided(endpoint.origin)) continue;
      try {
        const attempts = endpoint.kind === 'stand-in' ? STAND_IN_ATTEMPTS : 1;
        const value = await this.#patiently(attempts, false, signal, () => work(endpoint));
        return { found: { value, endpoint }, answered: true };
      } catch (thrown) {
        signal?.throwIfAborted();
        if (isKilnError(thrown, 'REGISTRY_UNREACHABLE')) reachability.avoid(endpoint.origin);
        else answered = true;
        logger.warn(`the ${endpoint.kind} ${endpoint.host} failed`, {
          repository: endpoint.repository,
          why: messageOf(thrown),
        });
      }
    }
    return { found: undefined, answered };
  }

  async #askRegistry<T>(
    endpoint: Endpoint,
    hasStandIns: boolean,
    { signal }: ReadOptions,
    work: (endpoint: Endpoint) => Promise<T>,
  ): Promise<T> {
    const { reachability } = this.options;
    if (hasStandIns && reachability.isAvoided(endpoint.origin)) {
      throw new RegistryError('REGISTRY_UNREACHABLE', `${endpoint.host} could not be reached a moment ago`);
    }
    try {
      return await this.#patiently(REGISTRY_ATTEMPTS, !hasStandIns, signal, () => work(endpoint));
    } catch (thrown) {
      if (isKilnError(thrown, 'REGISTRY_UNREACHABLE')) reachability.avoid(endpoint.origin);
      throw thrown;
    }
  }

  #patiently<T>(attempts: number, retryUnreachable: boolean, signal: AbortSignal | undefined, work: () => Promise<T>) {
    const { clock, random } = this.options;
    return withRetries({ clock, random, attempts, retryUnreachable, signal }, work);
  }
}

function withoutStandIn(thrown: RegistryError | Error, { registry, repository }: Repository): RegistryError {
  const about = thrown.message.includes(repository.replace(/^library\//, '')) ? '' : `, for ${repository}`;
  return new RegistryError('REGISTRY_UNREACHABLE', `${thrown.message}${about}`, {
    cause: thrown,
    hint: `check the network; there is no stand-in for ${registry}/${repository} either. With a mirror of ${registry} (KILN_REGISTRY_MIRRORS) it works without`,
  });
}

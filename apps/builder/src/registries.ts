import type { RegistryCredentials } from '#protocol';
import { Reachability, RegistryClient } from '#registry';
import type { Clock, Logger } from '#std';
import type { BuilderConfig } from './config.ts';

/** Makes each build its own registry client, with the credentials that came with it. */
export class Registries {
  readonly #reachability: Reachability;

  constructor(
    readonly config: BuilderConfig,
    readonly clock: Clock,
    readonly logger: Logger,
  ) {
    this.#reachability = new Reachability(clock);
  }

  client(credentials: Readonly<Record<string, RegistryCredentials>>): RegistryClient {
    const { KILN_REGISTRY_MIRRORS, KILN_PLAIN_HTTP, KILN_EGRESS_ALLOW } = this.config;
    return new RegistryClient({
      clock: this.clock,
      logger: this.logger,
      credentials: async (host) => (Object.hasOwn(credentials, host) ? (credentials[host] ?? null) : null),
      mirrors: KILN_REGISTRY_MIRRORS,
      plainHttp: KILN_PLAIN_HTTP,
      egress: { allow: KILN_EGRESS_ALLOW },
      reachability: this.#reachability,
      userAgent: 'kiln',
    });
  }
}

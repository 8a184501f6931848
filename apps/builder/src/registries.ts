import type { RegistryCredentials } from '#protocol';
import { Reachability, readTrust, RegistryClient, type TrustStore } from '#registry';
import type { Clock, Logger } from '#std';
import type { BuilderConfig } from './config.ts';

/** Makes each build its own registry client, with the credentials that came with it. */
export class Registries {
  readonly #reachability: Reachability;
  /** whom to believe about hosts */
  readonly trust: TrustStore;

  /** @throws KilnError INVALID_ARGUMENT when certificates that are to be trusted cannot be read */
  constructor(
    readonly config: BuilderConfig,
    readonly clock: Clock,
    readonly logger: Logger,
  ) {
    this.#reachability = new Reachability(clock);
    this.trust = readTrust(config.KILN_CA_BUNDLE, config.KILN_REGISTRY_CA);
  }

  /** @param credentialsFor by host; what it throws fails those builds that need the host */
  client(credentialsFor: (host: string) => RegistryCredentials | null): RegistryClient {
    const { KILN_REGISTRY_MIRRORS, KILN_PLAIN_HTTP, KILN_EGRESS_ALLOW } = this.config;
    return new RegistryClient({
      clock: this.clock,
      logger: this.logger,
      credentials: async (host) => credentialsFor(host),
      mirrors: KILN_REGISTRY_MIRRORS,
      plainHttp: KILN_PLAIN_HTTP,
      egress: { allow: KILN_EGRESS_ALLOW },
      trust: this.trust,
      reachability: this.#reachability,
      userAgent: 'kiln',
    });
  }
}

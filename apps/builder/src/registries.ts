import { readFileSync } from 'node:fs';
import type { RegistryCredentials } from '#protocol';
import { type Authority, Reachability, RegistryClient, TrustStore } from '#registry';
import { type Clock, KilnError, type Logger, messageOf } from '#std';
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
    const { KILN_CA_BUNDLE, KILN_REGISTRY_CA } = config;
    const everywhere = KILN_CA_BUNDLE === undefined ? [] : [{ for: '*', path: KILN_CA_BUNDLE }];
    this.trust = new TrustStore([...everywhere, ...KILN_REGISTRY_CA].map(readAuthority));
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

function readAuthority({ for: host, path }: { readonly for: string; readonly path: string }): Authority {
  try {
    return { for: host, certificates: readFileSync(path, 'utf8') };
  } catch (cause) {
    throw new KilnError('INVALID_ARGUMENT', `cannot read what is to be trusted for ${host}: ${messageOf(cause)}`, {
      cause,
      field: host === '*' ? 'KILN_CA_BUNDLE' : 'KILN_REGISTRY_CA',
      hint: 'give the absolute path of a file with certificates in PEM that the builder may read',
    });
  }
}

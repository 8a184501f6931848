import type { Clock, Logger, Random } from '#std';
import type { HostLookup } from './connector.ts';
import type { EgressPolicy } from './egress.ts';
import type { TrustStore } from './trust-store.ts';
import type { Reachability } from './reachability.ts';

/** What `docker login` leaves: a name and password, or a token to be exchanged. */
export type RegistryAuth =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string };

/** Another place for a registry's images. */
export interface Mirror {
  /** registry host that it mirrors, such as `docker.io`, or `*` for all */
  readonly for: string;
  /** `http(s)://host[:port][/prefix]` */
  readonly url: string;
  /**
   * `mirror`: asked before the registry; any failure falls through to the next, then to the registry.
   * `stand-in`: asked only when neither registry nor mirrors can be reached at all; results say so.
   */
  readonly mode: 'mirror' | 'stand-in';
}

export interface RegistryOptions {
  readonly clock: Clock;
  /** spreads pauses before retries */
  readonly random?: Random | undefined;
  /** by registry host as in a reference: `docker.io`, `ghcr.io`, `127.0.0.1:5000` */
  readonly credentials: (registry: string) => Promise<RegistryAuth | null>;
  readonly mirrors: readonly Mirror[];
  /** hosts (`host` or `host:port`) that speak HTTP without TLS; loopback always does */
  readonly plainHttp: readonly string[];
  /** name resolution, TCP and TLS together; 2000 by default */
  readonly connectTimeoutMs?: number | undefined;
  readonly userAgent?: string | undefined;
  readonly logger: Logger;
  /** private addresses that may be reached; none by default. Mirrors are allowed implicitly. */
  readonly egress?: EgressPolicy | undefined;
  /** whom to believe about hosts beside the authorities that Node knows; share one among the clients of a process */
  readonly trust?: TrustStore | undefined;
  /** which hosts did not answer lately; share one among the clients of a process */
  readonly reachability?: Reachability | undefined;
  /** name resolution; the system's by default */
  readonly lookup?: HostLookup | undefined;
}

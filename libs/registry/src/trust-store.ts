import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { KilnError } from '#std';

/** Somebody whose word is taken for who a host is, beside the authorities that Node knows. */
export interface Authority {
  /** host, host:port, or `*` for every host */
  readonly for: string;
  /** one or more, PEM */
  readonly certificates: string;
}

/** Whom to believe about whom. Costs some milliseconds for each set of authorities: share one among the clients of a process. */
export class TrustStore {
  readonly #authorities: readonly { readonly for: string; readonly certificates: readonly string[] }[];
  readonly #contexts = new Map<string, SecureContext>();

  /** @throws KilnError INVALID_ARGUMENT for an authority without a certificate that can be read */
  constructor(authorities: readonly Authority[]) {
    this.#authorities = authorities.map((authority) => ({
      for: authority.for.toLowerCase(),
      certificates: readCertificates(authority),
    }));
  }

  /** For TLS with `host:port`; undefined where Node's own authorities are all. */
  contextFor(host: string, port: number): SecureContext | undefined {
    const name = isIP(host) === 6 ? `[${host}]` : host.toLowerCase();
    const names = ['*', name, `${name}:${port}`];
    const believed = this.#authorities.filter((authority) => names.includes(authority.for));
    if (believed.length === 0) return undefined;
    const key = [...new Set(believed.map((authority) => authority.for))].join(' ');
    let context = this.#contexts.get(key);
    if (context === undefined) {
      const ca = [...getCACertificates('default'), ...believed.flatMap(({ certificates }) => certificates)];
      context = createSecureContext({ ca });
      this.#contexts.set(key, context);
    }
    return context;
  }
}

function readCertificates({ for: host, certificates }: Authority): readonly string[] {
  const blocks = certificates.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  // Bundles of systems have the odd one that OpenSSL does not like.
  const readable = blocks.filter((block) => {
    try {
      return new X509Certificate(block).raw.byteLength > 0;
    } catch {
      return false;
    }
  });
  if (readable.length > 0) return readable;
  throw new KilnError('INVALID_ARGUMENT', `there is no certificate in what is to be trusted for ${host}`, {
    hint: 'give a file with certificates in PEM: -----BEGIN CERTIFICATE-----',
  });
}

import { type ErrorCode, type ErrorDetails, KilnError, messageOf, systemCode } from '#std';
import { ConnectFailure } from './connector.ts';

/** A failure of a registry, with what retrying and falling through need to know. */
export class RegistryError extends KilnError {
  /** the same request may succeed in a moment */
  readonly transient: boolean;
  /** how long the registry asks us to wait */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    details: ErrorDetails & { readonly transient?: boolean; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(code, message, details);
    this.transient = details.transient ?? false;
    this.retryAfterMs = details.retryAfterMs;
  }

  /** The same failure, and what it came in the way of. */
  about(subject: string): RegistryError {
    if (this.message.includes(subject)) return this;
    const { code, message, hint, transient, retryAfterMs, cause } = this;
    return new RegistryError(code, `${message}, for ${subject}`, { hint, transient, retryAfterMs, cause });
  }
}

/** All of a blob came, and it is another one. */
export class WrongBytes extends RegistryError {}

/** A request that got no whole answer. */
export function transportFailure(thrown: unknown, host: string): RegistryError {
  if (!(thrown instanceof ConnectFailure)) {
    return new RegistryError('REGISTRY_FAILED', `the connection to ${host} broke: ${messageOf(thrown)}`, {
      cause: thrown,
      transient: true,
      hint: `try again; when it goes on, look at the network between the builder and ${host}`,
    });
  }
  switch (thrown.kind) {
    case 'unreachable':
      return new RegistryError('REGISTRY_UNREACHABLE', `${host} cannot be reached: ${thrown.message}`, {
        cause: thrown,
        transient: !thrown.isFinal,
        hint: `check that the name is right, and the network of the builder; a mirror can stand in for reading (KILN_REGISTRY_MIRRORS)`,
      });
    case 'forbidden':
      return new RegistryError(
        'REGISTRY_DENIED',
        `${host} is at a loopback or private address, which builds may not reach`,
        {
          cause: thrown,
          hint: `if it may be reached, let the farm's operator start it with KILN_EGRESS_ALLOW=${thrown.host}`,
        },
      );
    case 'tls':
      return new RegistryError('REGISTRY_FAILED', `no TLS connection to ${host}: ${thrown.message}`, {
        cause: thrown,
        hint: tlsHint(thrown),
      });
  }
}

function tlsHint({ host, cause }: ConnectFailure): string {
  const code = systemCode(cause) ?? '';
  if (/^CERT_(?:HAS_EXPIRED|NOT_YET_VALID)$/.test(code))
    return `its certificate is not valid at this time: tell who runs ${host}, or check the clock of the builder`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `its certificate is for another name: use that one, or tell who runs ${host}`;
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH|EPROTO/.test(code))
    return `if it speaks plain HTTP, let the farm's operator say so (KILN_PLAIN_HTTP=${host})`;
  if (/^ERR_(?:SSL|TLS)/.test(code)) return `look at the TLS settings of ${host}`;
  return `if its certificate is of an authority of your own, let the farm's operator trust that (KILN_REGISTRY_CA=${host}=/path/to/ca.pem)`;
}

/** For hosts that a registry refers to: the registry itself did answer, so it is not unreachable. */
export function referredFailure(thrown: unknown, registry: string): unknown {
  if (!(thrown instanceof RegistryError) || thrown.code !== 'REGISTRY_UNREACHABLE') return thrown;
  return new RegistryError('REGISTRY_FAILED', `${registry} refers to a host that fails: ${thrown.message}`, {
    cause: thrown,
    transient: thrown.transient,
    hint: thrown.hint,
  });
}

import { ConnectFailure } from '#registry';
import { type ErrorCode, type ErrorDetails, KilnError, messageOf, systemCode } from '#std';

/** A failure of somebody else's server, and whether the same request may succeed in a moment. */
export class RemoteError extends KilnError {
  readonly transient: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    { transient = false, ...details }: ErrorDetails & { readonly transient?: boolean } = {},
  ) {
    super(code, message, details);
    this.transient = transient;
  }
}

/** Why there was no whole answer to a request for `shown`, a URL without credentials. */
export function noAnswer(shown: string, thrown: unknown): RemoteError {
  if (!(thrown instanceof ConnectFailure)) {
    const late = /TIMEOUT/.test(systemCode(thrown) ?? '');
    return new RemoteError(
      'UPSTREAM_UNAVAILABLE',
      late ? `${shown}: the server took too long to answer` : `${shown}: the connection broke: ${messageOf(thrown)}`,
      { cause: thrown, transient: true, hint: 'try again; when it goes on, look at the server' },
    );
  }
  switch (thrown.kind) {
    case 'unreachable':
      return new RemoteError('UPSTREAM_UNAVAILABLE', `${shown} cannot be reached: ${thrown.message}`, {
        cause: thrown,
        transient: !thrown.isFinal,
        hint: 'check that the name is right, and that the server is up and open to the builders',
      });
    case 'forbidden':
      return forbidden(shown, thrown.host, thrown);
    case 'tls':
      return new RemoteError('STEP_FAILED', `${shown}: no TLS connection: ${thrown.message}`, {
        cause: thrown,
        hint: 'if its certificate is of an authority of your own, let the farm’s operator trust that (KILN_CA_BUNDLE)',
      });
  }
}

/** @param host with its port */
export function forbidden(shown: string, host: string, cause?: unknown): RemoteError {
  return new RemoteError(
    'STEP_FAILED',
    `${shown} is at a loopback or private address (${host}), which builds may not reach`,
    { cause, hint: `if it may be reached, let the farm's operator start it with KILN_EGRESS_ALLOW=${host}` },
  );
}

/** An answer that is no file. */
export function badStatus(shown: string, status: number): RemoteError {
  const message = `${shown}: the server answered ${status}`;
  if (status === 404 || status === 410) {
    return new RemoteError('SOURCE_NOT_FOUND', `${message}: there is nothing`, {
      hint: 'check the URL; it may have moved',
    });
  }
  if (status === 401 || status === 403) {
    return new RemoteError('STEP_FAILED', `${message}: access is refused`, {
      hint: 'fetch it in a RUN with a secret, or put the file into the context',
    });
  }
  const transient = status === 408 || status === 429 || status >= 500;
  return new RemoteError(transient ? 'UPSTREAM_UNAVAILABLE' : 'STEP_FAILED', message, {
    transient,
    hint: transient ? 'try again; when it goes on, look at the server' : 'check the URL',
  });
}

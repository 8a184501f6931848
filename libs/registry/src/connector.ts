import type { LookupAddress } from 'node:dns';
import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { messageOf, systemCode } from '#std';
import { buildConnector } from 'undici';
import type { Egress } from './egress.ts';
import type { TrustStore } from './trust-store.ts';

/** All addresses of a name. */
export type HostLookup = (hostname: string) => Promise<readonly LookupAddress[]>;

export const lookupBySystem: HostLookup = (hostname) => systemLookup(hostname, { all: true });

/** Why there is no connection: nobody there, not allowed, or somebody that we cannot speak TLS with. */
export class ConnectFailure extends Error {
  override readonly name = 'ConnectFailure';

  constructor(
    readonly kind: 'unreachable' | 'forbidden' | 'tls',
    readonly host: string,
    cause: unknown,
  ) {
    super(messageOf(cause), { cause });
  }

  /** The name does not exist: trying again shortly does not help. */
  get isFinal(): boolean {
    return this.kind !== 'unreachable' || systemCode(this.cause) === 'ENOTFOUND';
  }
}

class ForbiddenAddress extends Error {}

const tlsFailure =
  /^(?:EPROTO|ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH)|_CERT(?:IFICATE)?$/;

export interface ConnectorOptions {
  readonly egress: Egress;
  readonly lookup: HostLookup;
  readonly trust: TrustStore;
  /** name resolution, TCP and TLS together */
  readonly timeoutMs: number;
}

/** Connects only to addresses that the policy allows, judged at each connection, so that no later answer of a DNS server slips through. */
export function guardedConnector({ egress, lookup, trust, timeoutMs }: ConnectorOptions): buildConnector.connector {
  return (options, callback) => {
    const { hostname, protocol } = options;
    const port = Number(options.port || (protocol === 'https:' ? 443 : 80));
    const host = `${isIP(hostname) === 6 ? `[${hostname}]` : hostname}:${port}`;
    let settled = false;
    const settle = (answer: () => void): void => {
      if (!settled) answer();
      settled = true;
      clearTimeout(deadline);
    };
    const fail = (thrown: unknown): void => settle(() => callback(classify(thrown, host), null));
    // The connector's own timeout ends the socket, but up to a second late.
    const deadline = setTimeout(() => fail(new Error(`no connection within ${timeoutMs} ms`)), timeoutMs);
    // Literal addresses are never looked up.
    if (isIP(hostname) !== 0 && !egress.allows(hostname, port, hostname)) {
      fail(new ForbiddenAddress(hostname));
      return;
    }
    const allowed = (address: string): boolean => egress.allows(hostname, port, address);
    const secureContext = protocol === 'https:' ? trust.contextFor(hostname, port) : undefined;
    const connect = buildConnector({
      timeout: timeoutMs,
      lookup: guardedLookup(lookup, allowed),
      ...(secureContext === undefined ? {} : { secureContext }),
    });
    connect(options, (...[failure, socket]) => {
      if (failure !== null) fail(failure);
      else if (settled) socket.destroy();
      else settle(() => callback(null, socket));
    });
  };
}

function guardedLookup(lookup: HostLookup, allowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    const wanted = options.family === 4 || options.family === 6 ? options.family : undefined;
    const answer = async (): Promise<LookupAddress[]> => {
      const found = (await lookup(hostname)).filter(({ family }) => wanted === undefined || family === wanted);
      const kept = found.filter(({ address }) => allowed(address));
      if (kept.length === 0 && found.length > 0) throw new ForbiddenAddress(found[0]?.address);
      if (kept.length === 0) throw Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' });
      return kept;
    };
    answer().then(
      (kept) => {
        const first = kept[0];
        if (options.all === true || first === undefined) callback(null, kept);
        else callback(null, first.address, first.family);
      },
      (thrown: unknown) => callback(thrown instanceof Error ? thrown : new Error(messageOf(thrown)), []),
    );
  };
}

function classify(thrown: unknown, host: string): ConnectFailure {
  if (thrown instanceof ForbiddenAddress) return new ConnectFailure('forbidden', host, thrown);
  return new ConnectFailure(tlsFailure.test(systemCode(thrown) ?? '') ? 'tls' : 'unreachable', host, thrown);
}

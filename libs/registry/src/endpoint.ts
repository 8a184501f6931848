import { isIP } from 'node:net';
import { KilnError } from '#std';
import type { Mirror } from './options.ts';
import type { Repository } from './repository.ts';

/** A repository at one server. */
export interface Endpoint {
  readonly kind: 'registry' | 'mirror' | 'stand-in';
  /** what credentials go by and messages name: `docker.io`, `mirror.example:5000` */
  readonly host: string;
  readonly origin: string;
  /** as this server names it */
  readonly repository: string;
}

/** `host[:port]` on this machine. */
export function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/** Whether `host[:port]` may be spoken to without TLS. */
export function speaksPlainHttp(host: string, plainHttp: readonly string[]): boolean {
  return isLoopbackHost(host) || plainHttp.includes(host) || plainHttp.includes(host.replace(/:\d+$/, ''));
}

/** The registry itself. */
export function registryEndpoint({ registry, repository }: Repository, plainHttp: readonly string[]): Endpoint {
  const address = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const origin = `${speaksPlainHttp(registry, plainHttp) ? 'http' : 'https'}://${address}`;
  return { kind: 'registry', host: registry, origin: new URL(origin).origin, repository };
}

/** @throws KilnError INVALID_ARGUMENT */
export function parseMirrorUrl(mirror: Mirror): URL {
  const url = URL.canParse(mirror.url) ? new URL(mirror.url) : undefined;
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== '' ||
    url.password !== '' ||
    url.search !== ''
  ) {
    throw new KilnError(
      'INVALID_ARGUMENT',
      `not the address of a registry mirror: ${JSON.stringify(url?.host ?? mirror.url)}`,
      {
        hint: 'write it as http(s)://host[:port][/prefix], without user and password',
      },
    );
  }
  return url;
}

/** The mirrors of a repository, in the order in which they are configured. */
export function mirrorEndpoints({ registry, repository }: Repository, mirrors: readonly Mirror[]): readonly Endpoint[] {
  return mirrors.flatMap((mirror): Endpoint[] => {
    if (mirror.for !== registry && mirror.for !== '*') return [];
    const url = parseMirrorUrl(mirror);
    if (url.host === registry) return [];
    const named = nameAt(mirror, { registry, repository });
    if (named === undefined) return [];
    const prefix = url.pathname.replace(/^\/v2(?=\/|$)/, '').replace(/^\/+|\/+$/g, '');
    return [
      {
        kind: mirror.mode,
        host: url.host,
        origin: url.origin,
        repository: prefix === '' ? named : `${prefix}/${named}`,
      },
    ];
  });
}

/** A mirror of everything holds docker.io's repositories by their names, and others below the name of their registry. */
function nameAt(mirror: Mirror, { registry, repository }: Repository): string | undefined {
  if (mirror.for !== '*' || mirror.mode === 'stand-in' || registry === 'docker.io') return repository;
  // A port cannot be written in a repository's name.
  return registry.includes(':') ? undefined : `${registry}/${repository}`;
}

import type { FastifyRequest } from 'fastify';
import { KilnError } from '#std';
import { type Begun, MAX_FLOW_CHARS } from '#storage';
import { type ApiConfig, publicUrl } from '../config.ts';

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
const CSRF_HEADER = 'x-kiln-csrf';
/** Longer ones are none of the farm's. */
const MAX_CHARS = { session: 100, 'sign-in': MAX_FLOW_CHARS } as const;

/** What a browser keeps: that it is signed in, and that it is on its way to an issuer and back. */
type Kept = 'session' | 'sign-in';

/** Without TLS only on the same machine. There the name has the port: cookies of all ports of a host are one jar. */
function cookieOf(config: ApiConfig, kept: Kept): { readonly name: string; readonly secure: boolean } {
  const { protocol, hostname, port } = new URL(publicUrl(config));
  const plain = protocol === 'http:' && loopback.test(hostname);
  return plain
    ? { name: `kiln-${kept}-${port || '80'}`, secure: false }
    : { name: `__Host-kiln-${kept}`, secure: true };
}

/** What a browser keeps for its session, from its cookies. */
export const sessionOf = (config: ApiConfig, header: string | undefined): string | undefined =>
  keptOf(config, 'session', header);

/** What a browser keeps on its way to an issuer and back, from its cookies. */
export const flowOf = (config: ApiConfig, header: string | undefined): string | undefined =>
  keptOf(config, 'sign-in', header);

function keptOf(config: ApiConfig, kept: Kept, header: string | undefined): string | undefined {
  const { name } = cookieOf(config, kept);
  for (const each of (header ?? '').split(';')) {
    const [key, value = ''] = each.split('=', 2);
    if (key?.trim() === name && value.length <= MAX_CHARS[kept]) return value.trim();
  }
  return undefined;
}

/** @param maxAgeSeconds 0 takes the cookie away */
export function sessionCookie(config: ApiConfig, secret: string, maxAgeSeconds: number): string {
  const { name, secure } = cookieOf(config, 'session');
  return `${name}=${secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}${secure ? '; Secure' : ''}`;
}

/** As long as the session that has begun, as {@link sessionCookie}. */
export function sessionCookieOf(config: ApiConfig, { secret, expiresAt }: Begun, nowMs: number): string {
  return sessionCookie(config, secret, Math.max(1, Math.floor((expiresAt.getTime() - nowMs) / 1_000)));
}

/** The issuer's page sends the browser back, with what is `Lax` and not with what is `Strict`. As {@link sessionCookie}. */
export function flowCookie(config: ApiConfig, secret: string, maxAgeSeconds: number): string {
  const { name, secure } = cookieOf(config, 'sign-in');
  return `${name}=${secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}${secure ? '; Secure' : ''}`;
}

/** That a browser would keep the cookie. @throws KilnError CONFLICT */
export function checkWayIn(config: ApiConfig): void {
  if (!cookieOf(config, 'session').secure || publicUrl(config).startsWith('https:')) return;
  throw new KilnError('CONFLICT', `${publicUrl(config)} is not encrypted: no browser is signed in there`, {
    hint: 'put TLS before the API and set KILN_PUBLIC_URL to its https address, or use it on the same machine',
  });
}

/**
 * That what changes something comes from a page of this farm: others cannot send the header, and browsers say where a request
 * comes from.
 * @throws KilnError PERMISSION_DENIED
 */
export function checkOwnPage(config: ApiConfig, request: FastifyRequest): void {
  if (request.method === 'GET' || request.method === 'HEAD') return;
  checkOrigin(config, request);
  if (request.headers[CSRF_HEADER] !== undefined) return;
  throw new KilnError('PERMISSION_DENIED', 'a session changes nothing without the header X-Kiln-CSRF', {
    field: 'X-Kiln-CSRF',
    hint: 'send X-Kiln-CSRF: 1, or a token instead of the cookie',
  });
}

/** @throws KilnError PERMISSION_DENIED for a request that another site's page made */
export function checkOrigin(config: ApiConfig, { headers }: FastifyRequest): void {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  const own = origin === undefined || origin === new URL(publicUrl(config)).origin || hostOf(origin) === host;
  if (own && (site === undefined || site === 'same-origin')) return;
  throw new KilnError('PERMISSION_DENIED', 'the request comes from a page of another site', {
    field: own ? 'Sec-Fetch-Site' : 'Origin',
    hint: `behind a proxy, set KILN_PUBLIC_URL to the address that browsers use`,
  });
}

const hostOf = (origin: string): string | undefined => (URL.canParse(origin) ? new URL(origin).host : undefined);

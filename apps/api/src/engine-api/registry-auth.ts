import type { RegistryCredentials } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import { parseJson } from './engine-json.ts';

/** What docker's clients know of one registry. https://docs.docker.com/reference/api/engine/#section/Authentication */
export const AuthConfig = z.object({
  username: z.string().optional(),
  password: z.string().optional(),
  auth: z.string().optional(),
  identitytoken: z.string().optional(),
  serveraddress: z.string().optional(),
});
export type AuthConfig = z.infer<typeof AuthConfig>;

const HUB = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** Of `X-Registry-Config`: by host, as a build takes them. @throws KilnError INVALID_ARGUMENT */
export function readRegistryConfig(header: string | undefined): Record<string, RegistryCredentials> {
  if (header === undefined || header === '') return {};
  const all = parseJson('X-Registry-Config', z.record(z.string(), AuthConfig).nullable(), decoded(header)) ?? {};
  return Object.fromEntries(
    Object.entries(all).flatMap(([server, config]) => {
      const credentials = credentialsOf(config);
      return credentials === undefined ? [] : [[hostOf(server), credentials]];
    }),
  );
}

/** Of `X-Registry-Auth`, for one registry; undefined where nothing is said. @throws KilnError INVALID_ARGUMENT */
export function readRegistryAuth(header: string | undefined): RegistryCredentials | undefined {
  if (header === undefined || header === '') return undefined;
  return credentialsOf(parseJson('X-Registry-Auth', AuthConfig, decoded(header)));
}

/** URL-safe or not, with padding or without. */
const decoded = (header: string): string => Buffer.from(header, 'base64url').toString('utf8');

/** Undefined where nothing is said. @throws KilnError INVALID_ARGUMENT */
export function credentialsOf({
  username,
  password,
  auth,
  identitytoken,
}: AuthConfig): RegistryCredentials | undefined {
  if (identitytoken !== undefined && identitytoken !== '') return { identityToken: identitytoken };
  if (username !== undefined && username !== '' && password !== undefined) return { username, password };
  if (auth === undefined || auth === '') return undefined;
  const [, user, secret] = /^([^:]+):(.*)$/s.exec(Buffer.from(auth, 'base64').toString('utf8')) ?? [];
  if (user !== undefined && secret !== undefined) return { username: user, password: secret };
  throw new KilnError('INVALID_ARGUMENT', 'auth of a registry is not name:password in base64');
}

/** Entries have a scheme and a path sometimes: `https://index.docker.io/v1/`. */
export function hostOf(server: string): string {
  const host = (server.replace(/^[a-z]+:\/\//i, '').split('/')[0] ?? '').toLowerCase();
  return HUB.has(host) ? 'docker.io' : host;
}

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RegistryCredentials } from '#protocol';
import { KilnError, messageOf, systemCode } from '#std';
import { z } from 'zod';
import { askHelper } from './credential-helper.ts';

export interface DockerCredentialsOptions {
  /** directory of docker's config.json, as DOCKER_CONFIG names it */
  readonly configDir: string;
  readonly signal?: AbortSignal | undefined;
}

const AuthEntry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
});
type AuthEntry = z.infer<typeof AuthEntry>;

const DockerConfig = z.object({
  auths: z.record(z.string(), AuthEntry).default({}),
  credHelpers: z.record(z.string(), z.string()).default({}),
  credsStore: z.string().default(''),
});
type DockerConfig = z.infer<typeof DockerConfig>;

/** The name under which docker keeps what it knows of docker.io. */
const HUB = 'https://index.docker.io/v1/';
const HUB_HOSTS = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** The host that an entry of config.json is for: some have a scheme and a path. */
function hostOf(entry: string): string {
  const host = (entry.replace(/^[a-z]+:\/\//i, '').split('/')[0] ?? '').toLowerCase();
  return HUB_HOSTS.has(host) ? 'docker.io' : host;
}

/**
 * What docker's config.json and its credential helpers know of registries, by host as in image names (`docker.io`,
 * `ghcr.io`, `127.0.0.1:5000`). Hosts that nothing is known of are left out; without a config.json, all of them.
 * @throws KilnError INVALID_ARGUMENT naming the file or the helper that does not work
 */
export async function dockerCredentials(
  hosts: Iterable<string>,
  { configDir, signal }: DockerCredentialsOptions,
): Promise<Record<string, RegistryCredentials>> {
  const file = join(configDir, 'config.json');
  const config = await readConfig(file);
  const wanted = new Set([...hosts].map(hostOf));
  const found = await Promise.all(
    [...wanted].map(async (host) => [host, await lookUp(config, { host, file, signal })] as const),
  );
  return Object.fromEntries(found.flatMap(([host, known]) => (known === undefined ? [] : [[host, known] as const])));
}

async function readConfig(file: string): Promise<DockerConfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return DockerConfig.parse({});
    throw new KilnError('INVALID_ARGUMENT', `cannot read ${file}: ${messageOf(cause)}`, {
      hint: 'DOCKER_CONFIG names the directory of docker’s config.json',
      cause,
    });
  }
  try {
    return DockerConfig.parse(text.trim() === '' ? {} : JSON.parse(text));
  } catch (cause) {
    const issue = cause instanceof z.ZodError ? cause.issues[0] : undefined;
    const why = issue === undefined ? messageOf(cause) : `${issue.path.join('.')}: ${issue.message}`;
    throw malformed(file, why, cause);
  }
}

function malformed(file: string, why: string, cause?: unknown): KilnError {
  return new KilnError('INVALID_ARGUMENT', `${file} is malformed: ${why}`, {
    hint: 'repair it, or log in again with docker login',
    cause,
  });
}

interface LookUp {
  readonly host: string;
  readonly file: string;
  readonly signal: AbortSignal | undefined;
}

/** As docker: a helper for the host, else the store for all, else the file itself. */
async function lookUp(config: DockerConfig, { host, file, signal }: LookUp): Promise<RegistryCredentials | undefined> {
  const own = Object.entries(config.credHelpers).find(([entry]) => hostOf(entry) === host);
  if (own !== undefined) return askHelper(own[1], own[0], signal);
  const listed = Object.entries(config.auths).find(([entry]) => hostOf(entry) === host);
  if (config.credsStore !== '') {
    const name = listed?.[0] ?? (host === 'docker.io' ? HUB : host);
    const stored = await askHelper(config.credsStore, name, signal);
    if (stored !== undefined) return stored;
  }
  return listed === undefined
    ? undefined
    : fromEntry(listed[1], () => malformed(file, `auths[${JSON.stringify(listed[0])}]`));
}

function fromEntry(entry: AuthEntry, fail: () => KilnError): RegistryCredentials | undefined {
  if (entry.identitytoken !== undefined && entry.identitytoken !== '') return { identityToken: entry.identitytoken };
  if (entry.auth !== undefined && entry.auth !== '') {
    const pair = Buffer.from(entry.auth, 'base64').toString();
    const colon = pair.indexOf(':');
    if (colon < 1) throw fail();
    return { username: pair.slice(0, colon), password: pair.slice(colon + 1).replace(/\0+$/, '') };
  }
  const { username = '', password = '' } = entry;
  return username === '' ? undefined : { username, password };
}

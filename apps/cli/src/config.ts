import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { KilnError } from '#std';
import { z } from 'zod';
import type { LoadEnvironment } from './build/load-target.ts';

const text = z.string().optional();

/** The environment variables that `kiln` reads. */
export const CliEnvironment = z.object({
  /** the farm to use; without it, an embedded one */
  KILN_URL: text,
  /** bearer token for KILN_URL */
  KILN_TOKEN: text,
  /** data directory of the embedded farm */
  KILN_DATA: text,
  /** directory of docker's config.json */
  DOCKER_CONFIG: text,
  /** the Docker that --load speaks to */
  DOCKER_HOST: text,
  DOCKER_CONTEXT: text,
  /** any value: DOCKER_HOST speaks TLS */
  DOCKER_TLS_VERIFY: text,
  /** directory of ca.pem, cert.pem and key.pem for it */
  DOCKER_CERT_PATH: text,
  /** where what is known of contexts is kept, in its directory kiln; ~/.cache without it */
  XDG_CACHE_HOME: text,
  HOME: text,
  /** where podman is looked for */
  PATH: text,
  /** any value: no colours, no live view */
  NO_COLOR: text,
  /** any value but `false`: no live view */
  CI: text,
  TERM: text,
});

export interface Config {
  /** undefined: the embedded farm */
  readonly farm: { readonly url: string; readonly token: string | undefined } | undefined;
  readonly dataDir: string;
  readonly dockerConfigDir: string;
  /** undefined: nothing is kept of contexts */
  readonly contextCacheDir: string | undefined;
  /** what --load finds an engine by */
  readonly load: LoadEnvironment;
  /** neither NO_COLOR nor CI nor a dumb terminal speaks against a live view */
  readonly live: boolean;
}

/** @throws KilnError INVALID_ARGUMENT naming the variable */
export function readConfig(environment: Readonly<Record<string, string | undefined>>, data?: string): Config {
  const env = CliEnvironment.parse(environment);
  const set = (value: string | undefined): value is string => value !== undefined && value !== '';
  const home = homedir();
  const dataDir = [data, env.KILN_DATA].find(set) ?? join(home, '.kiln');
  const dockerConfigDir = set(env.DOCKER_CONFIG) ? resolve(env.DOCKER_CONFIG) : join(home, '.docker');
  return {
    farm: set(env.KILN_URL) ? { url: farmUrl(env.KILN_URL), token: env.KILN_TOKEN || undefined } : undefined,
    dataDir: resolve(dataDir),
    dockerConfigDir,
    contextCacheDir: contextCacheDir(env),
    load: {
      dockerHost: env.DOCKER_HOST || undefined,
      dockerContext: env.DOCKER_CONTEXT || undefined,
      dockerTls: set(env.DOCKER_TLS_VERIFY),
      dockerCertPath: env.DOCKER_CERT_PATH || undefined,
      dockerConfigDir,
      path: env.PATH ?? '',
    },
    live: !set(env.NO_COLOR) && (!set(env.CI) || env.CI === 'false') && env.TERM !== 'dumb',
  };
}

/** As the XDG Base Directory Specification has it: what is not absolute does not count. */
function contextCacheDir({ XDG_CACHE_HOME, HOME }: z.infer<typeof CliEnvironment>): string | undefined {
  const own = HOME !== undefined && isAbsolute(HOME) ? join(HOME, '.cache') : undefined;
  const base = XDG_CACHE_HOME !== undefined && isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : own;
  return base === undefined ? undefined : join(base, 'kiln', 'contexts');
}

function farmUrl(value: string): string {
  const url = URL.parse(value);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new KilnError('INVALID_ARGUMENT', `KILN_URL is not a URL: ${JSON.stringify(value)}`, {
      hint: 'write it as https://farm.example.com',
    });
  }
  return value.replace(/\/+$/, '');
}

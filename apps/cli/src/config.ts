import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import type { ProxySettings } from '#client';
import { z } from 'zod';
import type { LoadEnvironment } from './build/load-target.ts';
import { chooseFarm, type Farm } from './contexts/choose-farm.ts';
import { readContexts } from './contexts/context-file.ts';
import type { Exchange } from './contexts/exchange.ts';

const text = z.string().optional();

/** The environment variables that `kiln` reads. */
export const CliEnvironment = z.object({
  /** the farm to use; without it, an embedded one */
  KILN_URL: text,
  /** bearer token for KILN_URL */
  KILN_TOKEN: text,
  /** 1: without a token, exchange the CI job's id token for one */
  KILN_OIDC: text,
  /** the project that it is exchanged for */
  KILN_PROJECT: text,
  /** whom the id token is for; the farm's URL without it */
  KILN_OIDC_AUDIENCE: text,
  /** the context to use where KILN_URL names no farm */
  KILN_CONTEXT: text,
  /** data directory of the embedded farm */
  KILN_DATA: text,
  /** directory that kiln/config.json lies in; ~/.config without it */
  XDG_CONFIG_HOME: text,
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
  /** on the way to farms; in lower case first, as others read them */
  http_proxy: text,
  HTTP_PROXY: text,
  https_proxy: text,
  HTTPS_PROXY: text,
  no_proxy: text,
  NO_PROXY: text,
});

/** What holds whichever farm is used. */
export interface LocalConfig {
  readonly dataDir: string;
  /** where contexts are kept */
  readonly contextFile: string;
  readonly dockerConfigDir: string;
  /** undefined: nothing is kept of contexts */
  readonly contextCacheDir: string | undefined;
  /** what --load finds an engine by */
  readonly load: LoadEnvironment;
  /** neither NO_COLOR nor CI nor a dumb terminal speaks against a live view */
  readonly live: boolean;
  readonly proxy: ProxySettings;
}

export interface Config extends LocalConfig {
  /** undefined: the embedded farm */
  readonly farm: Farm | undefined;
  /** how a token comes about where there is none */
  readonly exchange: Exchange | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;
const set = (value: string | undefined): value is string => value !== undefined && value !== '';

/**
 * @param data of --data
 * @throws KilnError INVALID_ARGUMENT naming the variable, or the file of contexts
 */
export function readConfig(environment: Environment, data?: string): Config {
  const env = CliEnvironment.parse(environment);
  const local = readLocalConfig(environment, data);
  const words = {
    url: env.KILN_URL || undefined,
    token: env.KILN_TOKEN || undefined,
    context: env.KILN_CONTEXT || undefined,
    data: data || undefined,
  };
  const { KILN_OIDC: oidc = '', KILN_PROJECT: project, KILN_OIDC_AUDIENCE: audience } = env;
  return {
    ...local,
    farm: chooseFarm(words, () => readContexts(local.contextFile)),
    exchange: ['', '0', 'false'].includes(oidc) ? undefined : { project, audience: audience || undefined, environment },
  };
}

/** The same without a farm, for what is about this machine alone. */
export function readLocalConfig(environment: Environment, data?: string): LocalConfig {
  const env = CliEnvironment.parse(environment);
  const home = homedir();
  const dataDir = [data, env.KILN_DATA].find(set) ?? join(home, '.kiln');
  // A relative one is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest/
  const configHome = isAbsolute(env.XDG_CONFIG_HOME ?? '') ? (env.XDG_CONFIG_HOME ?? '') : join(home, '.config');
  const dockerConfigDir = set(env.DOCKER_CONFIG) ? resolve(env.DOCKER_CONFIG) : join(home, '.docker');
  return {
    dataDir: resolve(dataDir),
    contextFile: join(configHome, 'kiln', 'config.json'),
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
    proxy: {
      http: env.http_proxy ?? env.HTTP_PROXY ?? '',
      https: env.https_proxy ?? env.HTTPS_PROXY ?? '',
      none: env.no_proxy ?? env.NO_PROXY ?? '',
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

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What the supervisor takes from its environment. */
export interface LocalConfig {
  readonly cacheDir: string;
  /** what its children inherit: nothing that a shell of the moment has set otherwise */
  readonly base: Readonly<Record<string, string>>;
  readonly caBundle: string | undefined;
  /** settings of API and builders that are taken over where they are set */
  readonly settings: Readonly<Record<string, string>>;
  /** of a farm that is restored here: its key, and where its blobs are to be */
  readonly restored: { readonly secretKey: string | undefined; readonly objectStore: string | undefined };
}

/** What may differ from farm to farm; all else is the farm's own. */
const SETTINGS = [
  'AWS_ACCESS_KEY_ID',
  'AWS_CONFIG_FILE',
  'AWS_DEFAULT_REGION',
  'AWS_PROFILE',
  'AWS_REGION',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_SHARED_CREDENTIALS_FILE',
  'KILN_BUILDER_CONCURRENCY',
  'KILN_BUILD_PARALLELISM',
  'KILN_CONTEXT_MAX_BYTES',
  'KILN_CONTEXT_MAX_FILES',
  'KILN_EGRESS_ALLOW',
  'KILN_EMULATION',
  'KILN_OIDC_EGRESS_ALLOW',
  'KILN_PLAIN_HTTP',
  'KILN_REGISTRY_CA',
  'KILN_REGISTRY_MIRRORS',
  'KILN_SIGNIN_OIDC_ADMIT',
  'KILN_SIGNIN_OIDC_CLIENT_ID',
  'KILN_SIGNIN_OIDC_CLIENT_SECRET',
  'KILN_SIGNIN_OIDC_HOURS',
  'KILN_SIGNIN_OIDC_ISSUER',
  'KILN_SIGNIN_OIDC_NAME',
  'KILN_SIGNIN_OIDC_PROJECT',
  'KILN_SIGNIN_OIDC_SCOPES',
  'KILN_STEP_CPUS',
  'KILN_STEP_MEMORY_MIB',
  'KILN_STEP_PIDS',
  'KILN_FETCH_MAX_BYTES',
  'KILN_SSH_KNOWN_HOSTS',
  'KILN_TAG_TTL_SECONDS',
  'KILN_WEBHOOK_ALLOW',
  'KILN_WEBHOOK_RETRY_SECONDS',
] as const;

/** An inspecting proxy's certificates: whoever needs them for their own tools has set one of these. */
const CA_VARIABLES = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'] as const;

export function readConfig(env: Readonly<Record<string, string | undefined>>): LocalConfig {
  const certificates = CA_VARIABLES.flatMap((name) => {
    const path = env[name];
    return path?.startsWith('/') === true && existsSync(path) ? [[name, path] as const] : [];
  });
  const cache =
    env['XDG_CACHE_HOME'] === undefined || env['XDG_CACHE_HOME'] === ''
      ? join(homedir(), '.cache')
      : env['XDG_CACHE_HOME'];
  return {
    cacheDir: join(cache, 'kiln/stand-ins'),
    base: {
      PATH: `${env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`,
      HOME: homedir(),
      LANG: 'C.UTF-8',
      ...Object.fromEntries(certificates),
    },
    restored: { secretKey: env['KILN_SECRET_KEY'] || undefined, objectStore: env['KILN_OBJECT_STORE'] || undefined },
    caBundle: [env['KILN_CA_BUNDLE'], certificates[0]?.[1]].find((path) => path !== undefined && path !== ''),
    settings: Object.fromEntries(
      SETTINGS.flatMap((name) => {
        const value = env[name]?.trim() ?? '';
        return value === '' ? [] : [[name, value] as const];
      }),
    ),
  };
}

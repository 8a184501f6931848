import { z } from 'zod';
import { usageError } from '../usage.ts';

export interface JoinOptions {
  /** what the builder is called; the machine's name where it is not said */
  readonly id?: string;
  /** where it keeps its layers */
  readonly dir: string;
  /** where it tells its figures, as host:port */
  readonly metrics?: string;
}

/** Settings of the farm that its processes share, as .env.example has them. */
const FarmSettings = z.object({
  KILN_DATABASE_URL: z.url(),
  KILN_REDIS_URL: z.url(),
  KILN_OBJECT_STORE: z.string().min(1),
  KILN_SECRET_KEY: z.string().regex(/^[0-9a-f]{64}$/),
});
type FarmSettings = z.infer<typeof FarmSettings>;

/** Of those below: what they say are paths. */
export const FILES: readonly string[] = ['KILN_REGISTRY_CA', 'KILN_CA_BUNDLE', 'KILN_SSH_KNOWN_HOSTS'];
/** Further ones that hold for all builders, where they are set. */
const SHARED = [
  ...['KILN_REGISTRY_MIRRORS', 'KILN_PLAIN_HTTP', 'KILN_EGRESS_ALLOW', 'KILN_ENTITLEMENTS', 'KILN_EMULATION'],
  ...['KILN_FETCH_MAX_BYTES', 'KILN_TAG_TTL_SECONDS', ...FILES],
];
const STORE_CREDENTIALS = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_REGION'];
const LOOPBACK = /^(?:localhost|127\..*|\[::1\])$/;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What a builder of the farm whose processes have this environment begins with, but for its name.
 * @throws KilnError INVALID_ARGUMENT when the environment is not a farm's, or no other machine could reach it
 */
export function joinSettings(
  { dir, metrics }: JoinOptions,
  environment: Environment,
): Readonly<Record<string, string>> {
  if (!dir.startsWith('/')) throw usageError(`--dir is an absolute path, not ${JSON.stringify(dir)}`);
  return {
    ...farmSettings(environment),
    ...given(environment, [...SHARED, ...STORE_CREDENTIALS]),
    ...(metrics === undefined ? {} : figures(metrics, environment)),
    KILN_BUILDER_DIR: dir,
  };
}

function farmSettings(environment: Environment): FarmSettings {
  const settings = FarmSettings.safeParse(environment);
  if (!settings.success) {
    const names = [...new Set(settings.error.issues.map(({ path }) => path.join('.')))];
    throw usageError(
      `this is not the environment of a farm’s processes: ${names.join(', ')}`,
      'run it with the environment that the API has; an embedded farm is on loopback alone, and grows by kiln up --builders N',
    );
  }
  const { KILN_DATABASE_URL, KILN_REDIS_URL, KILN_OBJECT_STORE } = settings.data;
  const endpoint = URL.parse(KILN_OBJECT_STORE)?.searchParams.get('endpoint') ?? '';
  for (const [name, url] of Object.entries({ KILN_DATABASE_URL, KILN_REDIS_URL, KILN_OBJECT_STORE: endpoint }))
    if (LOOPBACK.test(URL.parse(url)?.hostname ?? ''))
      throw usageError(
        `${name} leads to this machine, which no other one reaches by that name`,
        'give the API an address that is good for all machines of the farm',
      );
  return settings.data;
}

function figures(listening: string, environment: Environment): Readonly<Record<string, string>> {
  if (!/^\S+:\d{1,5}$/.test(listening)) throw usageError(`--metrics is HOST:PORT, not ${JSON.stringify(listening)}`);
  const token = given(environment, ['KILN_METRICS_TOKEN']);
  if (Object.keys(token).length === 0)
    throw usageError('figures would be open to everyone', 'set KILN_METRICS_TOKEN, as the API has it');
  return { KILN_METRICS_LISTEN: listening, ...token };
}

const given = (environment: Environment, names: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = environment[name];
      return value === undefined || value === '' ? [] : [[name, value]];
    }),
  );

/** The folder that all processes share, where the store is one. */
export function sharedFolder({ KILN_OBJECT_STORE: store = '' }: Environment): string | undefined {
  if (store.startsWith('/')) return store;
  const url = URL.parse(store);
  return url?.protocol === 'file:' ? decodeURIComponent(url.pathname) : undefined;
}

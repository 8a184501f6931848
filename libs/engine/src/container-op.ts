import type { ExecOp } from '#graph';
import type { RunConfig } from '#oci';
import type { ContainerRun, StoredRequest } from '#protocol';
import { KilnError } from '#std';

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Where docker's users look for them; whoever the process is may read them. */
const SECRETS = '/run/secrets';
const SECRET_MODE = 0o444;

/** The same as an operation of a build: the sandbox is that of RUN. */
export function containerOp(config: RunConfig, run: ContainerRun, request: StoredRequest, hostname: string): ExecOp {
  const { network, addHosts: extraHosts, memoryBytes, cpus, shmSizeBytes, ulimits, secretIds } = request;
  return {
    kind: 'exec',
    args: argumentsOf(config, run),
    env: environmentOf(config, run, hostname),
    cwd: run.workdir ?? (config.WorkingDir || '/'),
    user: run.user ?? config.User ?? '',
    network,
    extraHosts,
    limits: {
      ...{ memoryBytes, shmSizeBytes },
      cpuMillis: cpus === undefined ? undefined : Math.round(cpus * 1000),
      ulimits: ulimits.length === 0 ? undefined : ulimits,
    },
    mounts: [
      ...run.tmpfs.map(({ target, sizeBytes }) => ({ type: 'tmpfs', target, sizeBytes }) as const),
      ...secretIds.map((id) => ({
        ...({ type: 'secret', id, target: `${SECRETS}/${id}`, required: true } as const),
        ...{ mode: SECRET_MODE, uid: 0, gid: 0 },
      })),
    ],
  };
}

/**
 * As docker has it: a command takes the place of CMD alone, an entry point that of both.
 * @throws KilnError INVALID_ARGUMENT when there is nothing to run
 */
export function argumentsOf(
  { Entrypoint, Cmd }: Pick<RunConfig, 'Entrypoint' | 'Cmd'>,
  { entrypoint, command }: Pick<ContainerRun, 'entrypoint' | 'command'>,
): readonly string[] {
  const own = entrypoint === undefined && command.length === 0 ? (Cmd ?? []) : command;
  const args = [...(entrypoint ?? Entrypoint ?? []), ...own];
  if (args.length > 0) return args;
  throw new KilnError('INVALID_ARGUMENT', 'there is nothing to run: the image has neither ENTRYPOINT nor CMD', {
    hint: 'write a command behind the image: kiln run IMAGE COMMAND',
  });
}

/** What the image says in its order, what is given in its place or behind. */
export function environmentOf(
  { Env }: Pick<RunConfig, 'Env'>,
  { env }: Pick<ContainerRun, 'env'>,
  hostname?: string,
): readonly string[] {
  const own = hostname === undefined ? [] : [`HOSTNAME=${hostname}`];
  const variables = new Map([DEFAULT_PATH, ...own, ...(Env ?? [])].map(pairOf));
  for (const [name, value] of Object.entries(env)) variables.set(name, value);
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

function pairOf(entry: string): [string, string] {
  const equals = entry.indexOf('=');
  return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

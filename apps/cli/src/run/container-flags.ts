import type { RunRequestInput } from '#protocol';
import { parseByteSize } from '#std';
import { readRunFlags, type RunFlags } from '../build/run-flags.ts';
import type { SecretSource } from '../build/secrets.ts';
import { usageError } from '../usage.ts';
import { readEnvironment } from './environment.ts';

/** The flags of `kiln run`, as commander gives them. */
export interface ContainerFlags extends Omit<RunFlags, 'ssh' | 'cgroupParent'> {
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly entrypoint?: string;
  readonly platform?: string;
  readonly tmpfs?: readonly string[];
  readonly pull: string;
}

/** The same, checked, but for the values of secrets. */
export interface ContainerOptions {
  readonly request: Omit<RunRequestInput, 'secrets' | 'credentials'>;
  readonly secrets: readonly SecretSource[];
}

/** @throws KilnError INVALID_ARGUMENT naming the flag */
export async function readContainerFlags(
  command: readonly string[],
  flags: ContainerFlags,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ContainerOptions> {
  const { user, workdir, entrypoint, platform, tmpfs = [] } = flags;
  // Docker's name for what every container has unless it is said.
  const network = flags.network === 'bridge' ? 'default' : flags.network;
  const { request, secrets } = readRunFlags({ ...flags, network });
  if (workdir !== undefined && !workdir.startsWith('/'))
    throw usageError(`--workdir is no absolute path: ${JSON.stringify(workdir)}`, 'such as -w /srv');
  return {
    request: {
      ...request,
      command: [...command],
      // With nothing in it, docker takes the image's away.
      ...(entrypoint === undefined ? {} : { entrypoint: entrypoint === '' ? [] : [entrypoint] }),
      env: await readEnvironment({ variables: flags.env ?? [], files: flags.envFile ?? [], environment }),
      ...(user === undefined ? {} : { user }),
      ...(workdir === undefined ? {} : { workdir }),
      ...(platform === undefined ? {} : { platform }),
      tmpfs: tmpfs.map(readTmpfs),
      pull: readPull(flags.pull),
    },
    secrets,
  };
}

/** `/path[:size=64m]` */
function readTmpfs(value: string): { target: string; sizeBytes?: number } {
  const [target = '', ...rest] = value.split(':');
  if (!target.startsWith('/')) throw usageError(`--tmpfs is no absolute path: ${JSON.stringify(target)}`);
  const options = rest.join(':').split(',');
  let sizeBytes: number | undefined;
  for (const option of options.filter((each) => each !== '' && each !== 'rw')) {
    const size = /^size=(.+)$/.exec(option)?.[1];
    sizeBytes = size === undefined ? undefined : parseByteSize(size);
    if (sizeBytes === undefined || sizeBytes === 0)
      throw usageError(`--tmpfs: ${JSON.stringify(option)} is not known`, 'such as --tmpfs /scratch:size=64m');
  }
  return sizeBytes === undefined ? { target } : { target, sizeBytes };
}

function readPull(value: string): 'missing' | 'always' | 'never' {
  if (value === 'missing' || value === 'always' || value === 'never') return value;
  throw usageError(`--pull=${value} is not known`, 'there are: missing, always, never');
}

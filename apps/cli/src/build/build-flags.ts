import { type ProgressMode, progressModes } from '../progress/choose-renderer.ts';
import { usageError } from '../usage.ts';
import { type Outputs, parseOutputs } from './outputs.ts';
import { readRunFlags, type RunFlags, type RunOptions } from './run-flags.ts';

/** The flags of `kiln build` as commander gives them. */
export interface BuildFlags extends RunFlags {
  readonly file?: string;
  readonly tag?: readonly string[];
  readonly push?: boolean;
  readonly buildArg?: readonly string[];
  readonly target?: string;
  readonly platform?: readonly string[];
  /** false for --no-cache */
  readonly cache: boolean;
  /** --no-cache-filter: commander takes the `no-` off */
  readonly cacheFilter?: readonly string[];
  readonly pull?: boolean;
  readonly label?: readonly string[];
  readonly output?: readonly string[];
  readonly metadataFile?: string;
  readonly iidfile?: string;
  readonly progress: string;
  readonly quiet?: boolean;
  readonly detach?: boolean;
  readonly data?: string;
}

/** The same, checked. */
export interface BuildOptions {
  readonly path: string;
  readonly file: string | undefined;
  readonly tags: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target: string | undefined;
  readonly platform: string | undefined;
  readonly noCache: boolean;
  readonly noCacheFilter: readonly string[];
  readonly pull: boolean;
  /** what its RUN steps get */
  readonly run: RunOptions;
  readonly outputs: Outputs;
  readonly metadataFile: string | undefined;
  readonly iidFile: string | undefined;
  readonly progress: ProgressMode;
  readonly detach: boolean;
}

/** @throws KilnError INVALID_ARGUMENT naming the flag */
export function checkFlags(
  path: string,
  flags: BuildFlags,
  environment: Readonly<Record<string, string | undefined>>,
): BuildOptions {
  const outputs = parseOutputs(flags.output ?? [], flags.push === true);
  const tags = [...(flags.tag ?? []), ...outputs.names];
  if (tags.length === 0 && outputs.requests.some((output) => output.type === 'image' && output.push === true)) {
    throw usageError('an image is pushed under its tags, and there is none', 'add -t registry/name:tag');
  }
  const detach = flags.detach === true;
  if (detach) refuseDetached(flags, outputs);
  const run = readRunFlags(flags);
  return {
    path,
    file: flags.file,
    tags,
    buildArgs: readArguments(flags.buildArg ?? [], environment),
    labels: readLabels(flags.label ?? []),
    target: flags.target,
    platform: readPlatform(flags.platform ?? []),
    noCache: !flags.cache,
    noCacheFilter: (flags.cacheFilter ?? []).flatMap((value) => value.split(',')).filter((stage) => stage !== ''),
    pull: flags.pull === true,
    run,
    outputs,
    metadataFile: flags.metadataFile,
    iidFile: flags.iidfile,
    progress: flags.quiet === true ? 'quiet' : readProgress(flags.progress),
    detach,
  };
}

function refuseDetached({ metadataFile, iidfile, ssh }: BuildFlags, { destinations }: Outputs): void {
  const later = [
    ...(metadataFile === undefined ? [] : ['--metadata-file']),
    ...(iidfile === undefined ? [] : ['--iidfile']),
    ...(destinations.length === 0 ? [] : ['--output of a file']),
    ...(ssh === undefined || ssh.length === 0 ? [] : ['--ssh']),
  ];
  if (later[0] !== undefined) throw usageError(`--detach does not wait for the end, which ${later[0]} needs`);
}

/** `K=V`, or `K` for what the environment holds; a `K` that it does not hold is left out, as docker does. */
function readArguments(
  values: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const read = values.map((value): [string, string | undefined] => {
    const equals = value.indexOf('=');
    const name = equals < 0 ? value : value.slice(0, equals);
    if (name === '') throw usageError(`--build-arg has no name: ${JSON.stringify(value)}`, 'write it as NAME=VALUE');
    return [name, equals < 0 ? environment[name] : value.slice(equals + 1)];
  });
  return Object.fromEntries(read.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

function readLabels(values: readonly string[]): Record<string, string> {
  const read = values.map((value): [string, string] => {
    const equals = value.indexOf('=');
    if (equals === 0 || value === '')
      throw usageError(`--label has no name: ${JSON.stringify(value)}`, 'write it as NAME=VALUE');
    return equals < 0 ? [value, ''] : [value.slice(0, equals), value.slice(equals + 1)];
  });
  return Object.fromEntries(read);
}

function readPlatform(values: readonly string[]): string | undefined {
  const platforms = values.flatMap((value) => value.split(',')).map((value) => value.trim());
  if (platforms.length > 1) {
    throw usageError(`--platform with several platforms is not supported yet`, 'build one platform at a time');
  }
  return platforms[0] || undefined;
}

function readProgress(value: string): ProgressMode {
  const mode = progressModes.find((known) => known === value);
  if (mode === undefined)
    throw usageError(`--progress=${value} is not known`, `there are: ${progressModes.join(', ')}`);
  return mode;
}

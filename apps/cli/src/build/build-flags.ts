import {
  type AttestationsInput,
  type AttestValues,
  type CacheTarget,
  ImageName,
  readAttestValues,
  readPlatforms,
} from '#protocol';
import { isKilnError } from '#std';
import { type ProgressMode, progressModes } from '../progress/progress-modes.ts';
import { type Call, parseCall } from '../call/parse-call.ts';
import { usageError } from '../usage.ts';
import { readAnnotations } from './annotations.ts';
import { checkAttested } from './attested.ts';
import { type CacheTargets, type GivenCache, readCacheSources, readCacheTargets } from './caches.ts';
import type { Links } from './linked-builds.ts';
import { type GivenContext, readBuildContexts } from './named-contexts.ts';
import { hasTag, type Outputs, parseOutputs } from './outputs.ts';
import { isBySsh } from './remote-context.ts';
import { type OrderFlags, type OrderOptions, readOrderFlags } from './order-flags.ts';
import { readRunFlags, type RunFlags, type RunOptions } from './run-flags.ts';

/** The flags of `kiln build` as commander gives them. */
export interface BuildFlags extends RunFlags, OrderFlags, AttestValues {
  readonly file?: string;
  readonly tag?: readonly string[];
  readonly push?: boolean;
  readonly load?: boolean;
  readonly annotation?: readonly string[];
  readonly buildArg?: readonly string[];
  readonly buildContext?: readonly string[];
  readonly target?: string;
  readonly platform?: readonly string[];
  /** false for --no-cache */
  readonly cache: boolean;
  /** --no-cache-filter: commander takes the `no-` off */
  readonly cacheFilter?: readonly string[];
  readonly cacheFrom?: readonly string[];
  readonly cacheTo?: readonly string[];
  readonly pull?: boolean;
  readonly label?: readonly string[];
  readonly call?: string;
  readonly check?: boolean;
  readonly output?: readonly string[];
  readonly metadataFile?: string;
  readonly iidfile?: string;
  readonly buildIdFile?: string;
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
  readonly buildContexts: ReadonlyMap<string, GivenContext>;
  /** targets of a bake file that are contexts; undefined outside of one */
  readonly links?: Links;
  readonly labels: Readonly<Record<string, string>>;
  /** by `TARGET:KEY` */
  readonly annotations: Readonly<Record<string, string>>;
  readonly target: string | undefined;
  /** the farm's choice when empty */
  readonly platforms: readonly string[];
  readonly noCache: boolean;
  readonly noCacheFilter: readonly string[];
  readonly pull: boolean;
  /** what its RUN steps get */
  readonly run: RunOptions;
  /** what it is of, and its place among the others */
  readonly order: OrderOptions;
  readonly outputs: Outputs;
  /** what is told of the images beside them */
  readonly attestations: AttestationsInput;
  readonly cacheFrom: readonly GivenCache[];
  readonly cacheTo: CacheTargets;
  /** a report instead of a build */
  readonly call: Call | undefined;
  readonly metadataFile: string | undefined;
  readonly iidFile: string | undefined;
  readonly buildIdFile: string | undefined;
  readonly progress: ProgressMode;
  readonly detach: boolean;
}

/** @throws KilnError INVALID_ARGUMENT naming the flag */
export function checkFlags(
  path: string,
  flags: BuildFlags,
  environment: Readonly<Record<string, string | undefined>>,
): BuildOptions {
  const call = parseCall(flags.call ?? (flags.check === true ? 'check' : 'build'));
  const asked = parseOutputs({
    output: flags.output ?? [],
    push: flags.push === true,
    load: flags.load === true,
  });
  // What only makes sense with an image does nothing in a call, as in docker: one adds --check to a command that builds.
  const outputs: Outputs = call === undefined ? asked : { requests: [], destinations: [] };
  const askedCaches = readCacheTargets(flags.cacheTo ?? []);
  const cacheTo: CacheTargets = call === undefined ? askedCaches : { requests: [], destinations: [] };
  const cacheFrom = readCacheSources(flags.cacheFrom ?? []);
  const attestations = readAttestValues(flags, (name) => `--${name}`);
  const tags = flags.tag ?? [];
  checkNames(outputs, tags);
  checkAttested(attestations, outputs);
  checkCacheNames([...cacheFrom, ...cacheTo.requests]);
  const detach = flags.detach === true;
  if (detach) refuseDetached(flags, [...outputs.destinations, ...cacheTo.destinations]);
  if (call !== undefined) refuseInCall(flags, call);
  const run = readRunFlags(withAgent(path, flags));
  return {
    path,
    file: flags.file,
    tags,
    buildArgs: readArguments(flags.buildArg ?? [], environment),
    buildContexts: readBuildContexts(flags.buildContext ?? []),
    labels: readLabels(flags.label ?? []),
    annotations: readAnnotations(flags.annotation ?? []),
    target: flags.target,
    platforms: platformsOf(flags.platform ?? []),
    noCache: !flags.cache,
    noCacheFilter: (flags.cacheFilter ?? []).flatMap((value) => value.split(',')).filter((stage) => stage !== ''),
    pull: flags.pull === true,
    run,
    order: readOrderFlags(flags),
    outputs,
    attestations: call === undefined ? attestations : {},
    cacheFrom: call === undefined ? cacheFrom : [],
    cacheTo,
    call,
    metadataFile: flags.metadataFile,
    iidFile: flags.iidfile,
    buildIdFile: flags.buildIdFile,
    progress: flags.quiet === true ? 'quiet' : readProgress(flags.progress),
    detach,
  };
}

/** Who builds a repository by ssh lends it the agent, as with docker buildx; --ssh says which. */
function withAgent(path: string, flags: BuildFlags): BuildFlags {
  const forwards = flags.ssh !== undefined && flags.ssh.length > 0;
  return forwards || flags.detach === true || !isBySsh(path) ? flags : { ...flags, ssh: ['default'] };
}

function checkNames({ requests }: Outputs, tags: readonly string[]): void {
  for (const tag of tags) {
    const { error } = ImageName.safeParse(tag);
    const why = error?.issues[0]?.message;
    if (why !== undefined) throw usageError(`--tag: ${why}`, 'such as -t registry.example.com/acme/app:1.2');
  }
  for (const output of requests) {
    if (output.type !== 'image' || !output.push) continue;
    const names = [...tags, ...(output.names ?? [])];
    if (names.length === 0) {
      throw usageError('an image is pushed under its tags, and there is none', 'add -t registry/name:tag');
    }
    const tagged = output.pushByDigest === true ? names.find(hasTag) : undefined;
    if (tagged !== undefined)
      throw usageError(`--output: push-by-digest cannot push the tag of ${tagged}`, 'name the image without a tag');
  }
}

function checkCacheNames(caches: readonly (GivenCache | CacheTarget)[]): void {
  for (const cache of caches) {
    if (cache.type !== 'registry') continue;
    const why = ImageName.safeParse(cache.ref).error?.issues[0]?.message;
    if (why !== undefined)
      throw usageError(`the ref of a cache: ${why}`, 'such as ref=registry.example.com/acme/app:cache');
  }
}

function refuseDetached({ metadataFile, iidfile, ssh }: BuildFlags, destinations: Outputs['destinations']): void {
  const later = [
    ...(metadataFile === undefined ? [] : ['--metadata-file']),
    ...(iidfile === undefined ? [] : ['--iidfile']),
    ...(destinations.length === 0 ? [] : ['--output or --cache-to of a file or directory, or --load']),
    ...(ssh === undefined || ssh.length === 0 ? [] : ['--ssh']),
  ];
  if (later[0] !== undefined) throw usageError(`--detach does not wait for the end, which ${later[0]} needs`);
}

function refuseInCall({ iidfile, detach }: BuildFlags, { method }: Call): void {
  if (iidfile !== undefined) throw usageError(`--call=${method} makes no image, and so nothing for --iidfile`);
  if (detach === true) throw usageError(`--detach does not wait for what --call=${method} tells`);
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
  const given = Object.fromEntries(read.filter((pair): pair is [string, string] => pair[1] !== undefined));
  const epoch = environment[EPOCH];
  // As docker buildx does it: https://reproducible-builds.org/specs/source-date-epoch/
  return epoch === undefined || epoch === '' || given[EPOCH] !== undefined ? given : { ...given, [EPOCH]: epoch };
}

const EPOCH = 'SOURCE_DATE_EPOCH';

function readLabels(values: readonly string[]): Record<string, string> {
  const read = values.map((value): [string, string] => {
    const equals = value.indexOf('=');
    if (equals === 0 || value === '')
      throw usageError(`--label has no name: ${JSON.stringify(value)}`, 'write it as NAME=VALUE');
    return equals < 0 ? [value, ''] : [value.slice(0, equals), value.slice(equals + 1)];
  });
  return Object.fromEntries(read);
}

/** Several in one flag are separated by commas; `local` is the platform that this command runs on. */
function platformsOf(values: readonly string[]): readonly string[] {
  const words = values.flatMap((value) => value.split(',')).map((word) => word.trim());
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };
  try {
    return readPlatforms(
      words.filter((word) => word !== ''),
      { os, architecture: architectures[process.arch] ?? process.arch },
    );
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    throw usageError(`--platform: ${thrown.message}`, thrown.hint);
  }
}

export function readProgress(value: string): ProgressMode {
  const mode = progressModes.find((known) => known === value);
  if (mode === undefined)
    throw usageError(`--progress=${value} is not known`, `there are: ${progressModes.join(', ')}`);
  return mode;
}

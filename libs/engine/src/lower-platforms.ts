import { lowerDockerfile, type LowerOptions, parseDockerfile } from '#dockerfile';
import type { IgnoreRules } from '#context';
import type { ExecLimits, Lowered } from '#graph';
import { distinctPlatforms, parsePlatform, type Platform } from '#oci';
import type { BuildEvent, StoredRequest } from '#protocol';
import type { Clock } from '#std';
import { contextFiles } from './context-files.ts';
import type { DockerfileSource } from './dockerfile-source.ts';
import { isImageOutput } from './image-form.ts';
import type { Images } from './images.ts';
import { IntermediateImages } from './intermediate-images.ts';
import type { BuildJobInput } from './job.ts';
import { contextsOf, type LinkedBuilds } from './linked-builds.ts';
import type { LocalRef } from './ref.ts';
import type { Sources } from './sources.ts';

/** What a Dockerfile is lowered with, besides its request. */
export interface Opening {
  readonly dockerfile: DockerfileSource;
  readonly local: LocalRef;
  readonly ignore: IgnoreRules;
  readonly linked: LinkedBuilds;
  readonly sources: Sources;
}

interface Telling extends Opening {
  readonly images: Images;
  readonly report: (event: BuildEvent) => void;
  readonly clock: Clock;
}

/** Of each platform, in their order. */
export function optionsOf(
  { request, buildPlatform, session }: BuildJobInput,
  { local, ignore }: Opening,
): readonly [LowerOptions, ...LowerOptions[]] {
  const { target, buildArgs, labels, noCache, noCacheFilter, network } = request;
  const [first = buildPlatform, ...more] = distinctPlatforms(request.platforms.map(parsePlatform));
  const of = (platform: Platform): LowerOptions => ({
    ...{ target, buildArgs, labels, noCache, noCacheFilter, network, platform, buildPlatform },
    platformAsked: request.platforms.length > 0,
    namePlatforms: more.length > 0,
    extraHosts: request.addHosts,
    limits: limitsOf(request),
    keyedSecrets: request.keyedSecrets,
    secretDigest: (id) => session.secretDigest(id),
    contextFiles: contextFiles(local, ignore),
  });
  return [of(first), ...more.map(of)];
}

/** The Dockerfile once for each platform. A failure is the same for all, or of the first that has it. */
export async function lowerAll(job: BuildJobInput, opened: Opening): Promise<readonly Lowered[]> {
  const all: Lowered[] = [];
  for (const each of optionsOf(job, opened)) {
    const options = await withContexts(each, job, opened);
    all.push(await lowerDockerfile(parseDockerfile(opened.dockerfile.text), options, opened.sources, job.signal));
  }
  return all;
}

export async function withContexts(options: LowerOptions, job: BuildJobInput, opened: Opening): Promise<LowerOptions> {
  const { linked, sources: resolver } = opened;
  return { ...options, contexts: await contextsOf(options, { ...job, linked, resolver }) };
}

/** What is wrong for every platform is told once. */
export function warningsOf(platforms: readonly Lowered[]): Lowered['warnings'] {
  const all = platforms.flatMap(({ warnings }) => warnings);
  return [...new Map(all.map((warning) => [`${warning.line} ${warning.message}`, warning])).values()];
}

/** Of a build whose image others may ask for: `docker build` tells of every instruction. */
export function intermediatesOf(
  platforms: readonly Lowered[],
  { request, part }: BuildJobInput,
  { dockerfile, images, report, clock }: Telling,
): IntermediateImages | undefined {
  const [lowered, ...others] = platforms;
  const wanted = request.tags.length > 0 || request.outputs.some(isImageOutput);
  if (part !== undefined || lowered === undefined || others.length > 0 || !wanted) return undefined;
  return new IntermediateImages({
    lowered,
    globalArgs: parseDockerfile(dockerfile.text).globalArgs,
    baseOf: (digest) => ({ id: images.known(digest).image.manifest.config.digest, layers: images.layersOf(digest) }),
    onImage: (instruction, id) => report({ type: 'intermediate', atMs: clock.nowMs(), instruction, id }),
  });
}

function limitsOf({ memoryBytes, cpus, shmSizeBytes, ulimits }: StoredRequest): ExecLimits {
  return {
    memoryBytes,
    cpuMillis: cpus === undefined ? undefined : Math.round(cpus * 1000),
    shmSizeBytes,
    ulimits: ulimits.length === 0 ? undefined : ulimits,
  };
}

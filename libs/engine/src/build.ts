import type { CacheStore } from '#cache';
import { wholeRecords } from '#cache';
import { lowerDockerfile, LoweringFailure, type LowerOptions, parseDockerfile } from '#dockerfile';
import type { IgnoreRules } from '#context';
import type { Definition, ExecLimits } from '#graph';
import { type Digest, parsePlatform, type Platform } from '#oci';
import type { BuildEvent, BuildFailure, BuildResult, StoredRequest } from '#protocol';
import { solve, VertexFailure } from '#solver';
import { isKilnError, KilnError } from '#std';
import { contextFiles } from './context-files.ts';
import { ContextTrees } from './context-trees.ts';
import { DamagedBlobs } from './damaged-blobs.ts';
import { type DockerfileSource, openContext, openNamedContext } from './dockerfile-source.ts';
import { checkEntitlements } from './entitlements.ts';
import { exportImage } from './export.ts';
import { failureOf } from './failure.ts';
import { checkOutputs } from './image-form.ts';
import { Images } from './images.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import { mainContext } from './main-context.ts';
import { plannedVertices } from './planned.ts';
import type { LocalRef, Ref } from './ref.ts';
import { reportOf } from './report.ts';
import { EngineRunner } from './runner.ts';
import { SecretMask } from './secret-mask.ts';
import { Sources } from './sources.ts';
import { StepLogs } from './step-logs.ts';
import { Tally } from './tally.ts';
import { TreeRefs } from './tree-refs.ts';
import { warningEvents } from './warning-events.ts';

export type BuildOutcome =
  | { readonly state: 'succeeded'; readonly result: BuildResult }
  | { readonly state: 'failed'; readonly failure: BuildFailure };

/** A lost or damaged blob costs a re-run; more often than this in one build, the store itself is failing. */
const MAX_REPAIRS = 3;

/**
 * One build, one line: parse → lower → Definition → solve → export; or only what the Dockerfile says of itself.
 * @throws the signal's reason when cancelled, KilnError FENCED when taken over; every other failure is an outcome
 */
export async function build(node: EngineNode, job: BuildJobInput): Promise<BuildOutcome> {
  const logs = new StepLogs(job.emit, node.clock, new SecretMask(job.session.secrets.values()));
  let dockerfile: DockerfileSource | undefined;
  try {
    checkOutputs(job.request);
    const startedAtMs = node.clock.nowMs();
    const outside = outsideOf(node, job);
    const context = await openContext(
      node.content,
      await mainContext(node, job, outside.sources),
      job.request,
      job.signal,
    );
    dockerfile = context.dockerfile;
    return { state: 'succeeded', result: await run(node, job, { ...context, ...outside, logs, startedAtMs }) };
  } catch (thrown) {
    job.signal.throwIfAborted();
    if (isKilnError(thrown, 'FENCED') || (thrown instanceof VertexFailure && isKilnError(thrown.cause, 'FENCED')))
      throw thrown;
    if (thrown instanceof LoweringFailure && dockerfile !== undefined) {
      for (const event of warningEvents(thrown.warnings, dockerfile, node.clock.nowMs())) void job.emit(event);
    }
    const tail = thrown instanceof VertexFailure ? logs.tail(thrown.vertex.digest) : [];
    return { state: 'failed', failure: failureOf(thrown, dockerfile, tail) };
  }
}

/** What a build takes from outside of the farm, and what is told of it. */
interface Outside {
  readonly tally: Tally;
  readonly report: (event: BuildEvent) => void;
  readonly damaged: DamagedBlobs;
  readonly images: Images;
  readonly sources: Sources;
}

interface Opened extends Outside {
  readonly dockerfile: DockerfileSource;
  readonly local: LocalRef;
  readonly ignore: IgnoreRules;
  readonly logs: StepLogs;
  readonly startedAtMs: number;
}

function outsideOf(node: EngineNode, job: BuildJobInput): Outside {
  const tally = new Tally();
  const report = (event: BuildEvent): void => {
    tally.see(event);
    void job.emit(event);
  };
  const damaged = new DamagedBlobs(node.content);
  const onPulled = (bytes: number): void => {
    tally.pulledBytes += bytes;
  };
  const images = new Images({
    ...job,
    ...node,
    content: damaged.watched,
    pull: job.request.pull,
    onStandIn: (name) => report({ type: 'warning', atMs: node.clock.nowMs(), message: standInMessage(name) }),
    onPulled,
  });
  const sources = new Sources({ node, job, images, contexts: job.contexts, onPulled });
  return { tally, report, damaged, images, sources };
}

async function run(node: EngineNode, job: BuildJobInput, opened: Opened): Promise<BuildResult> {
  const { dockerfile, local, logs, tally, report, damaged, images, sources, startedAtMs } = opened;
  const figures = (): Figures => ({
    steps: tally.counts(),
    bytes: { contextSent: job.contextSentBytes, pulled: tally.pulledBytes, pushed: tally.pushedBytes },
    durationMs: node.clock.nowMs() - startedAtMs,
    savedMs: tally.savedMs(),
  });
  const { signal } = job;
  const { call } = job.request;
  const options = optionsOf(node, job, opened);
  if (call !== 'build') {
    const note = (message: string): void => report({ type: 'warning', atMs: node.clock.nowMs(), message });
    const given = await reportOf(call, { file: dockerfile, options, resolver: sources, note, signal });
    return { report: given, names: [], outputs: [], ...figures() };
  }
  const lowered = await lowerDockerfile(parseDockerfile(dockerfile.text), options, sources, signal);
  checkEntitlements(lowered.definition, { client: job.request.allow, farm: node.entitlements });
  for (const event of warningEvents(lowered.warnings, dockerfile, node.clock.nowMs())) report(event);
  const locals = new Map([['context', local]]);
  for (const [name, context] of job.contexts) {
    // A layout is read as an image, never file by file.
    if (job.request.contexts[name]?.type !== 'local') continue;
    locals.set(`context:${name}`, await openNamedContext(node.content, context, signal));
  }
  report({ type: 'planned', atMs: node.clock.nowMs(), vertices: plannedVertices(lowered.definition) });
  const { materialiser, clock } = node;
  await using contexts = new ContextTrees({ materialiser, clock, content: damaged.watched, signal: job.signal });
  const exported = await whole(job, { node, damaged, sources, report }, async (cache) => {
    const root = await solveOnce(node, job, lowered.definition, {
      images,
      sources,
      damaged,
      cache,
      locals,
      contexts,
      logs,
      report,
    });
    const results = [{ lowered, root }];
    return exportImage({ node: { ...node, content: damaged.watched }, job, results, images, report, tally });
  });
  return { ...exported, ...figures() };
}

type Figures = Pick<BuildResult, 'steps' | 'bytes' | 'durationMs' | 'savedMs'>;

function optionsOf(node: EngineNode, { request }: BuildJobInput, { local, ignore }: Opened): LowerOptions {
  const { target, buildArgs, labels, noCache, noCacheFilter, network, contexts } = request;
  const [asked] = request.platforms;
  const platform = asked === undefined ? node.platform : parsePlatform(asked);
  return {
    ...{ target, buildArgs, labels, noCache, noCacheFilter, network, platform, contexts },
    buildPlatform: node.platform,
    extraHosts: request.addHosts,
    limits: limitsOf(request),
    contextFiles: contextFiles(local, ignore),
  };
}

function limitsOf({ memoryBytes, cpus, shmSizeBytes, ulimits }: StoredRequest): ExecLimits {
  return {
    memoryBytes,
    cpuMillis: cpus === undefined ? undefined : Math.round(cpus * 1000),
    shmSizeBytes,
    ulimits: ulimits.length === 0 ? undefined : ulimits,
  };
}

interface Repairing {
  readonly node: EngineNode;
  readonly damaged: DamagedBlobs;
  readonly sources: Sources;
  readonly report: (event: BuildEvent) => void;
}

/**
 * From the first look-up to the last byte out; begun again where a blob that a record promised turned out lost or
 * damaged: what refers to it is forgotten, so that its step runs.
 */
async function whole<T>(
  job: BuildJobInput,
  { node, damaged, sources, report }: Repairing,
  attempt: (cache: CacheStore) => Promise<T>,
): Promise<T> {
  const cache = wholeRecords(job.cache, node.content);
  for (let repairs = 0; ; repairs++) {
    try {
      return await attempt(cache);
    } catch (thrown) {
      const lost: ReadonlySet<Digest> = damaged.take();
      if (lost.size === 0 || repairs >= MAX_REPAIRS || job.signal.aborted) throw thrown;
      await cache.forget(lost, job.signal);
      await sources.renew(lost, job.signal);
      const message = `${lost.size} cached blobs were lost or damaged: their steps run again`;
      report({ type: 'warning', atMs: node.clock.nowMs(), message });
    }
  }
}

interface Solving {
  readonly images: Images;
  readonly damaged: DamagedBlobs;
  readonly cache: CacheStore;
  readonly sources: Sources;
  readonly locals: ReadonlyMap<string, LocalRef>;
  readonly contexts: ContextTrees;
  readonly logs: StepLogs;
  readonly report: (event: BuildEvent) => void;
}

function solveOnce(
  node: EngineNode,
  job: BuildJobInput,
  definition: Definition,
  { images, sources, damaged, cache, locals, contexts, logs, report }: Solving,
): Promise<Ref> {
  const refs = new TreeRefs(damaged.watched, cache, node.materialiser, images, job.signal);
  const runner = new EngineRunner({
    ...node,
    ...job,
    ...{ refs, locals, sources, contexts, definition, logs },
    content: damaged.watched,
  });
  const { clock, parallelism } = node;
  return solve({ definition, runner, cache, clock, report, parallelism, signal: job.signal });
}

function standInMessage(name: string): string {
  return `${name}: the registry cannot be reached; a stand-in made by the embedded farm is used`;
}

/** For callers that only have bytes of an unknown platform string. */
export function nodePlatform(architecture: string): Platform {
  const known = { x64: 'amd64', arm64: 'arm64' }[architecture];
  if (known === undefined) throw new KilnError('INTERNAL', `no builder for the architecture ${architecture}`);
  return { os: 'linux', architecture: known };
}

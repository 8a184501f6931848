import type { CacheStore, Producer } from '#cache';
import { wholeRecords } from '#cache';
import type { ContentStore } from '#content';
import type { ContextManifest } from '#context';
import { lowerDockerfile, parseDockerfile } from '#dockerfile';
import type { Definition, Lowered } from '#graph';
import { type Digest, parsePlatform, type Platform } from '#oci';
import type { BuildEvent, BuildFailure, BuildResult, StoredRequest } from '#protocol';
import type { RegistryClient } from '#registry';
import type { Differ } from '#snapshot';
import { solve, VertexFailure } from '#solver';
import { type Clock, isKilnError, KilnError } from '#std';
import { DamagedBlobs } from './damaged-blobs.ts';
import { type DockerfileSource, openContext } from './dockerfile-source.ts';
import { type BlobGrants, exportImage } from './export.ts';
import { failureOf } from './failure.ts';
import { Images, type TagCache } from './images.ts';
import type { Materialiser } from './materialiser.ts';
import { plannedVertices } from './planned.ts';
import type { LocalRef, Ref } from './ref.ts';
import type { ExecSettings } from './run-exec.ts';
import { EngineRunner } from './runner.ts';
import { type EventSink, StepLogs } from './step-logs.ts';
import { Tally } from './tally.ts';
import { TreeRefs } from './tree-refs.ts';

/** What a node brings to every build. */
export interface EngineNode {
  readonly content: ContentStore;
  readonly materialiser: Materialiser;
  readonly differ: Differ;
  readonly exec: ExecSettings;
  readonly platform: Platform;
  readonly clock: Clock;
  /** steps of one build that run at a time */
  readonly parallelism: number;
  readonly tagTtlMs: number;
}

/** One build, with what it may use and where it reports. */
export interface BuildJobInput {
  readonly request: StoredRequest;
  readonly context: ContextManifest;
  readonly contextSentBytes: number;
  readonly producer: Producer;
  readonly cache: CacheStore;
  readonly tags: TagCache;
  readonly registry: RegistryClient;
  readonly grants: BlobGrants;
  readonly emit: EventSink;
  /** @throws KilnError FENCED when the build has gone to another builder */
  readonly checkFence: () => Promise<void>;
  readonly signal: AbortSignal;
}

export type BuildOutcome =
  | { readonly state: 'succeeded'; readonly result: BuildResult }
  | { readonly state: 'failed'; readonly failure: BuildFailure };

/** A lost or damaged blob costs a re-run; more often than this in one build, the store itself is failing. */
const MAX_REPAIRS = 3;

/**
 * One build, one line: parse → lower → Definition → solve → export.
 * @throws the signal's reason when cancelled, KilnError FENCED when taken over; every other failure is an outcome
 */
export async function build(node: EngineNode, job: BuildJobInput): Promise<BuildOutcome> {
  const logs = new StepLogs(job.emit, node.clock);
  let dockerfile: DockerfileSource | undefined;
  try {
    const context = await openContext(node.content, job.context, job.request, job.signal);
    dockerfile = context.dockerfile;
    return { state: 'succeeded', result: await run(node, job, { ...context, logs }) };
  } catch (thrown) {
    job.signal.throwIfAborted();
    if (isKilnError(thrown, 'FENCED') || (thrown instanceof VertexFailure && isKilnError(thrown.cause, 'FENCED')))
      throw thrown;
    const tail = thrown instanceof VertexFailure ? logs.tail(thrown.vertex.digest) : [];
    return { state: 'failed', failure: failureOf(thrown, dockerfile, tail) };
  }
}

interface Opened {
  readonly dockerfile: DockerfileSource;
  readonly local: LocalRef;
  readonly logs: StepLogs;
}

async function run(node: EngineNode, job: BuildJobInput, { dockerfile, local, logs }: Opened): Promise<BuildResult> {
  const startedAtMs = node.clock.nowMs();
  const tally = new Tally();
  const report = (event: BuildEvent): void => {
    tally.see(event);
    void job.emit(event);
  };
  const damaged = new DamagedBlobs(node.content);
  const images = new Images({
    ...job,
    ...node,
    content: damaged.watched,
    pull: job.request.pull,
    onStandIn: (name) => report({ type: 'warning', atMs: node.clock.nowMs(), message: standInMessage(name) }),
    onPulled: (bytes) => {
      tally.pulledBytes += bytes;
    },
  });
  const lowered = await lower(node, job, dockerfile, images);
  for (const { message, line } of lowered.warnings)
    report({ type: 'warning', atMs: node.clock.nowMs(), message, line });
  report({ type: 'planned', atMs: node.clock.nowMs(), vertices: plannedVertices(lowered.definition) });
  const root = await solved(node, job, lowered.definition, { images, damaged, local, logs, report });
  const exported = await exportImage({ node, job, lowered, root, images, report, tally });
  return {
    ...exported,
    steps: tally.counts(),
    bytes: { contextSent: job.contextSentBytes, pulled: tally.pulledBytes, pushed: tally.pushedBytes },
    durationMs: node.clock.nowMs() - startedAtMs,
    savedMs: tally.savedMs(),
  };
}

function lower(
  node: EngineNode,
  { request, signal }: BuildJobInput,
  dockerfile: DockerfileSource,
  images: Images,
): Promise<Lowered> {
  const { target, buildArgs, labels, noCache, noCacheFilter, network } = request;
  const platform = request.platform === undefined ? node.platform : parsePlatform(request.platform);
  const options = { buildArgs, labels, noCache, noCacheFilter, network, platform, buildPlatform: node.platform };
  return lowerDockerfile(
    parseDockerfile(dockerfile.text),
    target === undefined ? options : { ...options, target },
    images,
    signal,
  );
}

interface Solving {
  readonly images: Images;
  readonly damaged: DamagedBlobs;
  readonly local: LocalRef;
  readonly logs: StepLogs;
  readonly report: (event: BuildEvent) => void;
}

/** Solves, and solves again where a blob that a record promised turned out lost or damaged. */
async function solved(
  node: EngineNode,
  job: BuildJobInput,
  definition: Definition,
  { images, damaged, local, logs, report }: Solving,
): Promise<Ref> {
  const cache = wholeRecords(job.cache, node.content);
  for (let repairs = 0; ; repairs++) {
    const refs = new TreeRefs(damaged.watched, cache, node.materialiser, images, job.signal);
    const runner = new EngineRunner(
      { ...node, refs, content: damaged.watched, locals: new Map([['context', local]]), producer: job.producer, logs },
      () => local,
    );
    try {
      return await solve({
        definition,
        runner,
        cache,
        clock: node.clock,
        report,
        parallelism: node.parallelism,
        signal: job.signal,
      });
    } catch (thrown) {
      const lost: ReadonlySet<Digest> = damaged.take();
      if (lost.size === 0 || repairs >= MAX_REPAIRS || job.signal.aborted) throw thrown;
      await cache.forget(lost, job.signal);
      report({
        type: 'warning',
        atMs: node.clock.nowMs(),
        message: `${lost.size} cached blobs were lost or damaged: their steps run again`,
      });
    }
  }
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

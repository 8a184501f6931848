import type { CacheStore } from '#cache';
import type { ContentStore } from '#content';
import { wholeRecords } from '#cache';
import { LoweringFailure } from '#dockerfile';
import type { IgnoreRules } from '#context';
import { type Definition, mergeDefinitions } from '#graph';
import { type Descriptor, type Digest, type Layer } from '#oci';
import type { BuildEvent, BuildFailure, BuildResult, CacheReport, StoredRequest } from '#protocol';
import { solve, type Solved, type SolveOptions, VertexFailure } from '#solver';
import { isKilnError, KilnError } from '#std';
import { ContextTrees } from './context-trees.ts';
import { DamagedBlobs } from './damaged-blobs.ts';
import { type DockerfileSource, openContext, openNamedContext } from './dockerfile-source.ts';
import { checkDevices, checkEntitlements } from './entitlements.ts';
import { explaining } from './explaining.ts';
import { exportImage } from './export.ts';
import { checkCaches, writesCaches } from './export-caches.ts';
import { ExternalCaches, withExternal } from './external-caches.ts';
import { failureOf } from './failure.ts';
import { type Figures, figuresOf } from './figures.ts';
import { checkOutputs } from './image-form.ts';
import { Images } from './images.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import { type LinkedBuilds, linkedLocal, openLinkedBuilds } from './linked-builds.ts';
import type { IntermediateImages } from './intermediate-images.ts';
import { intermediatesOf, lowerAll, optionsOf, warningsOf, withContexts } from './lower-platforms.ts';
import { mainContext } from './main-context.ts';
import { bringLayers, PlacedBlobs } from './placed-blobs.ts';
import { PendingBlobs } from './pending-blobs.ts';
import { Placement } from './placement.ts';
import { plannedVertices } from './planned.ts';
import { pushStored } from './push-stored.ts';
import type { LocalRef, Ref } from './ref.ts';
import { lostBy, whole } from './repair.ts';
import { reportOf } from './report.ts';
import { pinTree } from './part-pins.ts';
import { runImage } from './run-image.ts';
import { adoptPins, partResult, type Telling } from './run-part.ts';
import { EngineRunner } from './runner.ts';
import { SecretMask } from './secret-mask.ts';
import { SentContent } from './sent-content.ts';
import { Sources } from './sources.ts';
import { StepLogs } from './step-logs.ts';
import { StepResults } from './step-results.ts';
import { Tally } from './tally.ts';
import { TreeRefs } from './tree-refs.ts';
import { warningEvents } from './warning-events.ts';
import { writeBack } from './write-back.ts';

export type BuildOutcome =
  | { readonly state: 'succeeded'; readonly result: BuildResult }
  | { readonly state: 'failed'; readonly failure: BuildFailure };

/**
 * One build, one line: parse → lower → Definition → solve → export; or only what the Dockerfile says of itself.
 * @throws the signal's reason when cancelled, KilnError FENCED when taken over; every other failure is an outcome
 */
export async function build(farm: EngineNode, asked: BuildJobInput): Promise<BuildOutcome> {
  using _room = farm.room.enter();
  const tally = new Tally();
  const { registry, places, grants, signal } = asked;
  const onPulled = (bytes: number): void => {
    tally.pulledBytes += bytes;
  };
  const sent = new SentContent({
    ...{ near: farm.content, grants, session: asked.session, signal },
    manifests: [asked.context, ...asked.contexts.values()],
    onSent: (bytes) => {
      tally.sentBytes += bytes;
    },
  });
  const placed = new PlacedBlobs({ near: sent.content, registry, places, grants, onPulled, signal });
  // What lies elsewhere is content of this build as all else is.
  const node = { ...farm, content: placed.content };
  const job = { ...asked, grants: placed.grants };
  const logs = new StepLogs(job.emit, node.clock, new SecretMask(job.session.secrets.values()));
  let dockerfile: DockerfileSource | undefined;
  const outside = outsideOf(node, job, { tally, placed, sent, onPulled });
  const { content } = outside;
  try {
    checkOutputs(job.request);
    checkCaches(job.request.cacheTo);
    const startedAtMs = node.clock.nowMs();
    if (job.request.call === 'push') {
      const pushed = await pushStored({ node, job, ...outside });
      return { state: 'succeeded', result: { ...pushed, ...figuresOf({ node, job, ...outside, startedAtMs }) } };
    }
    if (job.request.call === 'run') {
      const ran = await runImage({ node, job, logs, ...outside });
      return { state: 'succeeded', result: { ...ran, ...figuresOf({ node, job, ...outside, startedAtMs }) } };
    }
    const main = await mainContext({ ...node, content }, job, outside.sources);
    const context = await openContext(content, main, job.request, job.signal);
    dockerfile = context.dockerfile;
    const linked = await openLinkedBuilds({ ...job, content, main: main.context });
    return { state: 'succeeded', result: await run(node, job, { ...context, ...outside, linked, logs, startedAtMs }) };
  } catch (thrown) {
    job.signal.throwIfAborted();
    if (isKilnError(thrown, 'FENCED') || (thrown instanceof VertexFailure && isKilnError(thrown.cause, 'FENCED')))
      throw thrown;
    if (thrown instanceof LoweringFailure && dockerfile !== undefined) {
      for (const event of warningEvents(thrown.warnings, dockerfile, node.clock.nowMs())) void job.emit(event);
    }
    const tail = thrown instanceof VertexFailure ? logs.tail(thrown.vertex.digest) : [];
    const lost = job.part === undefined ? undefined : lostBy(thrown, outside.damaged);
    const failure = failureOf(thrown, dockerfile, tail);
    if (lost === undefined) return { state: 'failed', failure };
    return { state: 'failed', failure: { ...failure, repair: { lost: [...lost], pulled: outside.tally.pulledBytes } } };
  }
}

/** What a build takes from outside of the farm, and what is told of it. */
interface Outside {
  readonly tally: Tally;
  readonly placed: PlacedBlobs;
  readonly sent: SentContent;
  readonly report: (event: BuildEvent) => void;
  readonly telling: Telling;
  readonly damaged: DamagedBlobs;
  /** what this build makes, before it is stored */
  readonly pending: PendingBlobs;
  /** in which lost blobs are noted, and pending ones found */
  readonly content: ContentStore;
  readonly images: Images;
  readonly sources: Sources;
}

interface Opened extends Outside {
  readonly dockerfile: DockerfileSource;
  readonly local: LocalRef;
  readonly ignore: IgnoreRules;
  readonly linked: LinkedBuilds;
  readonly logs: StepLogs;
  readonly startedAtMs: number;
}

interface Pulling {
  readonly tally: Tally;
  readonly placed: PlacedBlobs;
  readonly sent: SentContent;
  readonly onPulled: (bytes: number) => void;
}

function outsideOf(node: EngineNode, job: BuildJobInput, { tally, placed, sent, onPulled }: Pulling): Outside {
  const report = (event: BuildEvent): void => {
    tally.see(event);
    void job.emit(event);
  };
  const damaged = new DamagedBlobs(node.content, job.retain);
  const pending = new PendingBlobs(damaged.watched);
  const { content } = pending;
  const standIns = new Set<string>();
  const images = new Images({
    ...job,
    ...node,
    content,
    pull: job.request.pull,
    onStandIn: (name) => {
      // Every platform of a build asks for it.
      if (standIns.has(name)) return;
      standIns.add(name);
      report({ type: 'warning', atMs: node.clock.nowMs(), message: standInMessage(name) });
    },
    onPulled,
    report,
  });
  const sources = new Sources({ node: { ...node, content }, job, images, sent, contexts: job.contexts, onPulled });
  const telling: Telling = {
    report: (event) => {
      tally.see(event);
      return job.emit(event);
    },
    recall: (event) => tally.see(event),
    onPulled,
    onLost: (blobs) => damaged.note(blobs),
  };
  return { tally, placed, sent, report, telling, damaged, pending, content, images, sources };
}

async function run(node: EngineNode, job: BuildJobInput, opened: Opened): Promise<BuildResult> {
  const { dockerfile, tally, placed, sent, report, damaged, content, images, sources, startedAtMs } = opened;
  const figures = (): Figures => figuresOf({ node, job, tally, startedAtMs });
  const { part, signal } = job;
  const { call } = job.request;
  const note = (message: string): void => report({ type: 'warning', atMs: node.clock.nowMs(), message });
  if (part === undefined && call !== 'build' && call !== 'push' && call !== 'run') {
    const [first] = optionsOf(job, opened);
    const options = await withContexts(first, job, opened);
    const given = await reportOf(call, { file: dockerfile, options, resolver: sources, note, signal });
    return { report: given, names: [], outputs: [], ...figures() };
  }
  await using external = new ExternalCaches({ node, job, placed, sent, content, warn: note });
  if (part !== undefined) adoptPins(part, sources);
  const platforms = part === undefined ? await lowerAll(job, opened) : [];
  const definition = part?.definition ?? mergeDefinitions(platforms.map((lowered) => lowered.definition));
  checkDevices(definition);
  checkEntitlements(definition, { client: job.request.allow, farm: node.entitlements });
  for (const event of warningEvents(warningsOf(platforms), dockerfile, node.clock.nowMs())) report(event);
  const locals = new Map([['context', opened.local]]);
  for (const [name, { local }] of opened.linked) locals.set(linkedLocal(name), local);
  for (const [name, context] of job.contexts) {
    // A layout is read as an image, never file by file.
    if (job.request.contexts[name]?.type !== 'local') continue;
    locals.set(`context:${name}`, await openNamedContext(content, context, signal));
  }
  using intermediates = intermediatesOf(platforms, job, { ...opened, clock: node.clock });
  report({
    ...{ type: 'planned', atMs: node.clock.nowMs(), vertices: plannedVertices(definition) },
    ...(intermediates === undefined ? {} : { instructions: intermediates.instructions }),
  });
  intermediates?.begin();
  const { materialiser, clock } = node;
  await using contexts = new ContextTrees({ materialiser, clock, content, sent, signal: job.signal });
  const cache = withExternal(wholeRecords(job.cache, node.content), external, placed);
  let late: readonly Descriptor[] = [];
  const { solved, exported } = await whole(job, { node, damaged, sources, report, cache }, async () => {
    const steps = new StepResults(definition);
    const given = { ...opened, cache, locals, contexts, external, steps, intermediates };
    const made = await solveOnce(node, job, definition, given);
    return await out(made, async ({ roots, settled }) => {
      // What is made for others is its records.
      if (part !== undefined || writesCaches(job.request)) await settled();
      if (part !== undefined) return partResult(part);
      const results = platforms.map((lowered, index) => ({ lowered, root: rootAt(roots, index) }));
      const around = { images, report, tally, steps, placed, intermediates };
      const exporting = { node: { ...node, content }, job, results, ...around };
      const { cacheExports, late: found, ...rest } = await exportImage(exporting);
      late = found;
      return { ...rest, ...cacheOf(job.request, { imports: external.report(), exports: cacheExports }) };
    });
  });
  await using _ = solved;
  const result = { ...exported, ...figures() };
  const afterwards = (): Promise<void> => grantStored(late, { content, job });
  await writeBack(solved, { job, clock, result, afterwards, warn: note });
  return result;
}

/** The project may see layers that its steps stand for once they are there. */
async function grantStored(
  layers: readonly Descriptor[],
  { content, job }: { readonly content: ContentStore; readonly job: BuildJobInput },
): Promise<void> {
  if (layers.length === 0) return;
  const absent = await content.findMissing(new Set(layers.map(({ digest }) => digest)), job.signal);
  await job.grants.grant(
    layers.filter(({ digest }) => !absent.has(digest)),
    job.signal,
  );
}

/** Brings out what was solved. Where that fails, what ran is kept all the same. */
async function out<T>(
  solved: Solved<Ref>,
  bring: (solved: Solved<Ref>) => Promise<T>,
): Promise<{ readonly solved: Solved<Ref>; readonly exported: T }> {
  try {
    return { solved, exported: await bring(solved) };
  } catch (thrown) {
    await using _ = solved;
    await solved.settled().catch(() => {});
    throw solved.failure() ?? thrown;
  }
}

function cacheOf({ cacheFrom, cacheTo }: StoredRequest, cache: CacheReport): Pick<BuildResult, 'cache'> {
  return cacheFrom.length + cacheTo.length === 0 ? {} : { cache };
}

function rootAt(roots: readonly Ref[], index: number): Ref {
  const root = roots[index];
  if (root === undefined) throw new KilnError('INTERNAL', 'a platform without a result');
  return root;
}

interface Solving extends Opened {
  readonly cache: CacheStore;
  readonly locals: ReadonlyMap<string, LocalRef>;
  readonly contexts: ContextTrees;
  readonly external: ExternalCaches;
  readonly steps: StepResults;
  readonly intermediates: IntermediateImages | undefined;
}

function solveOnce(
  node: EngineNode,
  job: BuildJobInput,
  definition: Definition,
  { dockerfile, local, images, content, cache, report, placed, external, steps, intermediates, ...more }: Solving,
): Promise<Solved<Ref>> {
  const bring = (layers: readonly Layer[]): Promise<void> => bringLayers(content, placed, layers, job.signal);
  const refs = new TreeRefs(content, cache, node.materialiser, images, job.signal, bring);
  const placement = new Placement(node.platforms, job.elsewhere, node.clock);
  const { part, flights, signal } = job;
  const isSent = (job.request.contexts['context']?.type ?? 'local') === 'local';
  const runner = new EngineRunner({
    ...node,
    ...job,
    ...more,
    ...{ refs, definition, placement, content },
    pinContext: async () =>
      isSent ? undefined : { tree: await pinTree(local.unfiltered, content, signal), dockerfile: dockerfile.name },
    selections: part?.pins.selections ?? [],
  });
  const { clock, parallelism } = node;
  const explained = job.explain && explaining({ ...node, ...job, ...job.explain, runner, mask: more.logs.mask });
  const onResult: SolveOptions<Ref>['onResult'] = async (vertex, keys, result) => {
    if (external.owns(result)) await cache.save(keys, result, result.finishedAtMs, signal);
    steps.add(vertex, keys, result);
    intermediates?.see(vertex.digest, result.layers);
  };
  const onValue = (vertex: Digest, value: Ref): void => {
    if (value.kind !== 'tree' || intermediates === undefined) return;
    // Who needs the layers hears of what is wrong with them.
    value.descriptors().then(
      (layers) => intermediates.see(vertex, layers),
      () => {},
    );
  };
  return solve({
    ...{ definition, runner, cache, flights, clock, report, parallelism, onResult, onValue, signal },
    explaining: explained,
    results: part?.results,
  });
}

function standInMessage(name: string): string {
  return `${name}: the registry cannot be reached; a stand-in made by the embedded farm is used`;
}

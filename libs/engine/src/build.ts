import type { ContentStore } from '#content';
import { wholeRecords } from '#cache';
import { LoweringFailure } from '#dockerfile';
import { mergeDefinitions } from '#graph';
import { type Descriptor } from '#oci';
import type { BuildFailure, BuildResult, CacheReport, StoredRequest } from '#protocol';
import { type Solved, VertexFailure } from '#solver';
import { isKilnError, KilnError } from '#std';
import { Attesting } from './attestations.ts';
import { ContextTrees } from './context-trees.ts';
import { type DockerfileSource, openContext, openNamedContext } from './dockerfile-source.ts';
import { checkDevices, checkEntitlements } from './entitlements.ts';
import { exportImage } from './export.ts';
import { checkCaches, writesCaches } from './export-caches.ts';
import { ExternalCaches, withExternal } from './external-caches.ts';
import { failureOf } from './failure.ts';
import { type Figures, figuresOf } from './figures.ts';
import { checkOutputs } from './image-form.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import { solveOnce } from './solve-once.ts';
import { linkedLocal, openLinkedBuilds } from './linked-builds.ts';
import { intermediatesOf, lowerAll, optionsOf, warningsOf, withContexts } from './lower-platforms.ts';
import { mainContext } from './main-context.ts';
import { PlacedBlobs } from './placed-blobs.ts';
import { type Opened, outsideOf } from './outside.ts';
import { plannedVertices } from './planned.ts';
import { pushStored } from './push-stored.ts';
import type { Ref } from './ref.ts';
import { lostBy, whole } from './repair.ts';
import { reportOf } from './report.ts';
import { runImage } from './run-image.ts';
import { adoptPins, partResult } from './run-part.ts';
import { SecretMask } from './secret-mask.ts';
import { SentContent } from './sent-content.ts';
import { planScans } from './sbom-scan.ts';
import { StepLogs } from './step-logs.ts';
import { StepResults } from './step-results.ts';
import { Tally } from './tally.ts';
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
  const scans = await planScans(platforms, job, sources);
  const definition = part?.definition ?? mergeDefinitions([...platforms.map((each) => each.definition), ...scans]);
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
      const attesting = new Attesting({
        ...{ clock, job, materialiser, sources, dockerfile, locals, steps, mask: opened.logs.mask, startedAtMs },
        scans: scans.map((_, index) => rootAt(roots, platforms.length + index)),
      });
      const around = { images, report, tally, steps, placed, intermediates, attesting };
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

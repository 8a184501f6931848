import type { ResultId } from '#cache';
import type { ContentStore } from '#content';
import { type Definition, DefinitionBuilder, type Vertex } from '#graph';
import type { Digest } from '#oci';
import type { BuildEvent, BuildResult } from '#protocol';
import { KilnError, messageOf } from '#std';
import { containerOp } from './container-op.ts';
import { ContextTrees } from './context-trees.ts';
import { checkEntitlements } from './entitlements.ts';
import { StepMounts } from './exec-mounts.ts';
import type { Images } from './images.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import type { PartPins } from './part-pins.ts';
import { Placement } from './placement.ts';
import { plannedVertices } from './planned.ts';
import { runProcess, StepExit } from './run-exec.ts';
import { adoptPins, delegatePart, partResult, type Telling } from './run-part.ts';
import { runSource } from './run-source.ts';
import type { SentContent } from './sent-content.ts';
import type { Sources } from './sources.ts';
import type { StepLogs } from './step-logs.ts';
import { TreeRefs } from './tree-refs.ts';

export interface RunningImage {
  readonly node: EngineNode;
  readonly job: BuildJobInput;
  readonly images: Images;
  readonly sources: Sources;
  readonly sent: SentContent;
  readonly content: ContentStore;
  readonly telling: Telling;
  readonly logs: StepLogs;
  readonly report: (event: BuildEvent) => void;
}

/** As docker shortens them. */
const HOSTNAME_LENGTH = 12;

/**
 * Runs one process in a container of an image, in the sandbox of RUN. What it changes is thrown away: no key is looked up, and
 * nothing is recorded.
 * @throws StepExit when it exits with another code than 0; KilnError SANDBOX_FAILED, and what is said of its image
 */
export async function runImage(
  running: RunningImage,
): Promise<Pick<BuildResult, 'configDigest' | 'names' | 'outputs'>> {
  const { node, job, sources, report } = running;
  const { part } = job;
  if (part !== undefined) adoptPins(part, sources);
  const definition = part?.definition ?? (await plan(running));
  checkEntitlements(definition, { client: job.request.allow, farm: node.entitlements });
  // Whether it could have been reused, nobody asks: it is no step that counts.
  const vertices = plannedVertices(definition).map((vertex) => ({ ...vertex, step: false }));
  report({ type: 'planned', atMs: node.clock.nowMs(), vertices });
  await runPlaced(running, definition);
  return part === undefined ? { names: [], outputs: [] } : partResult(part);
}

async function plan({ job, images, content }: RunningImage): Promise<Definition> {
  const { request } = job;
  const { run, reference: name = '' } = request;
  if (run === undefined) throw new KilnError('INVALID_ARGUMENT', 'a run says what it runs', { field: 'run' });
  const { op, platform, config } = await runSource({ job, images, content });
  if (request.image !== undefined) await job.images.pushed(request.image, []);
  const exec = containerOp(config, run, request, job.producer.buildId.slice(0, HOSTNAME_LENGTH));
  const builder = new DefinitionBuilder();
  const label = { stage: '', line: 0, ignoreCache: true };
  const root = builder.add(op, platform, [], { ...label, name: `FROM ${name}` });
  return builder.finish(builder.add(exec, platform, [root], { ...label, name: `RUN ${exec.args.join(' ')}` }));
}

/** Here, or on a builder that is fit for the image. */
async function runPlaced(running: RunningImage, definition: Definition): Promise<void> {
  const { node, job, sources, telling, logs } = running;
  const { elsewhere, signal } = job;
  const [root, vertex] = [...definition.vertices.values()];
  if (root?.op.kind !== 'image' || vertex?.op.kind !== 'exec')
    throw new KilnError('INTERNAL', 'not the plan of a container');
  const placement = new Placement(node.platforms, elsewhere, node.clock);
  while (elsewhere !== undefined && (await placement.of(vertex.platform)) === 'elsewhere') {
    const steps = new Set([vertex.digest]);
    const pin = await sources.pin(root);
    const pins: PartPins = { sources: pin === undefined ? [] : [[root.digest, pin]], selections: [] };
    const part = { platform: vertex.platform, definition, steps, results: new Map<Digest, ResultId>(), pins };
    await told(running, root, () => Promise.resolve());
    if (await delegatePart(part, { elsewhere, logs, signal, ...telling })) return;
    placement.forget();
  }
  const refs = new TreeRefs(running.content, job.cache, node.materialiser, running.images, signal);
  const { op } = root;
  const parent = await told(running, root, () => refs.image(op).snapshot());
  await told(running, vertex, () => runHere(running, vertex, parent));
}

/** In a snapshot that ends with it. */
async function runHere(running: RunningImage, vertex: Vertex, parent: string): Promise<void> {
  const { op } = vertex;
  if (op.kind !== 'exec') throw new KilnError('INTERNAL', 'not the plan of a container');
  const { node, job, logs, content, sent } = running;
  const { materialiser, clock, caches, exec: settings } = node;
  const { workspace, snapshotter, shift } = materialiser;
  const { signal } = job;
  signal.throwIfAborted();
  job.onRun?.(vertex);
  await using held = new AsyncDisposableStack();
  const key = workspace.name('a');
  const layers = await snapshotter.prepare(key, parent);
  held.defer(() => snapshotter.remove(key));
  const { path } = held.use(await workspace.mount(layers));
  const contexts = held.use(new ContextTrees({ materialiser, clock, content, sent, signal }));
  const note = (text: string): void => void logs.note(vertex.digest, text);
  const around = { ...job, materialiser, caches, contexts, inputs: [], note };
  const mounts = held.use(await StepMounts.open(op, around));
  const exit = await runProcess({
    ...{ op, root: { path, shift, clock }, workspace, settings, mounts, signal },
    hostname: job.producer.buildId.slice(0, HOSTNAME_LENGTH),
    log: (stream, chunk) => logs.write(vertex.digest, stream, chunk),
  }).finally(() => logs.end(vertex.digest));
  const { exitCode, outOfMemory, memoryLimit } = exit;
  if (outOfMemory) await logs.remark(vertex.digest, `kiln: out of memory: it used more than ${memoryLimit}`);
  if (exitCode !== 0) throw new StepExit(exitCode, `${vertex.label.name}: exit code ${exitCode}`);
}

/** Tells of a vertex what a solver would. */
async function told<T>({ report, node, job }: RunningImage, { digest }: Vertex, work: () => Promise<T>): Promise<T> {
  const { clock } = node;
  const startedAtMs = clock.nowMs();
  report({ type: 'vertexStarted', atMs: startedAtMs, vertex: digest });
  try {
    const value = await work();
    const atMs = clock.nowMs();
    report({ type: 'vertexDone', atMs, vertex: digest, outcome: 'done', durationMs: atMs - startedAtMs });
    return value;
  } catch (thrown) {
    job.signal.throwIfAborted();
    const atMs = clock.nowMs();
    const code = thrown instanceof StepExit ? { exitCode: thrown.exitCode } : {};
    const failed = { type: 'vertexFailed', atMs, vertex: digest, durationMs: atMs - startedAtMs } as const;
    report({ ...failed, message: messageOf(thrown), ...code });
    throw thrown;
  }
}

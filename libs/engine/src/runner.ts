import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type CacheRecord, type InputContent, type Producer, type Result, type ResultId, stepResultId } from '#cache';
import type { ContentStore } from '#content';
import type { Definition, Op, Vertex } from '#graph';
import { type Digest, digestOf, type Layer, mediaType } from '#oci';
import type { Differ, Mount } from '#snapshot';
import type { Joined, OpRunner, Part, Settling } from '#solver';
import { type Clock, KilnError, once } from '#std';
import type { CacheMounts } from './cache-mounts.ts';
import type { ContextTrees } from './context-trees.ts';
import { StepMounts } from './exec-mounts.ts';
import { type FarmFlights, followFlight, ownExitCode } from './follow-flight.ts';
import type { Placement } from './placement.ts';
import type { MountVersions } from './mount-versions.ts';
import { contentsOf, runCopy, type SourceTree } from './run-copy.ts';
import { type ExecSettings, runExec } from './run-exec.ts';
import { pinPart, type PartPins } from './part-pins.ts';
import type { PendingBlobs } from './pending-blobs.ts';
import { delegatePart, type Telling } from './run-part.ts';
import { runMkdir } from './run-mkdir.ts';
import type { LocalRef, Ref, TreeRef } from './ref.ts';
import type { BuildSession } from './session.ts';
import type { SentContent } from './sent-content.ts';
import { type Taken, takenFrom } from './taken.ts';
import type { Sources } from './sources.ts';
import type { StepLogs } from './step-logs.ts';
import { type PendingLayer, StepOutcome } from './step-outcome.ts';
import type { TreeRefs } from './tree-refs.ts';

export interface RunnerOptions {
  readonly refs: TreeRefs;
  readonly content: ContentStore;
  readonly sent: SentContent;
  readonly pending: PendingBlobs;
  readonly differ: Differ;
  readonly exec: ExecSettings;
  /** trees that the client sent, by name */
  readonly locals: ReadonlyMap<string, LocalRef>;
  /** what was fetched */
  readonly sources: Pick<Sources, 'httpRef' | 'gitRef' | 'pin'>;
  readonly definition: Definition;
  readonly clock: Clock;
  readonly producer: Producer;
  readonly logs: StepLogs;
  readonly caches: CacheMounts;
  readonly cacheOwner: string;
  readonly mountVersions: MountVersions;
  readonly contexts: ContextTrees;
  readonly session: BuildSession;
  readonly placement: Placement;
  readonly flights?: FarmFlights | undefined;
  readonly onRun?: ((vertex: Vertex) => void) | undefined;
  /** the main context, as a part of this build is to find it */
  readonly pinContext: () => Promise<PartPins['context']>;
  /** of a part: what the keys of its steps are made of */
  readonly selections: PartPins['selections'];
  readonly telling: Telling;
  /** of the build */
  readonly signal: AbortSignal;
}

/** Runs a build's operations on this node. */
export class EngineRunner implements OpRunner<Ref> {
  readonly #options: RunnerOptions;
  readonly #selections: Map<string, Digest>;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { selections } = options;
    this.#selections = new Map(selections.map(([vertex, input, digest]) => [`${vertex} ${input}`, digest]));
  }

  async source({ op }: Vertex): Promise<Ref> {
    const { refs, sources } = this.#options;
    if (op.kind === 'image') return refs.image(op);
    if (op.kind === 'scratch') return refs.scratch();
    if (op.kind === 'git') return await sources.gitRef(op);
    return this.#known(op);
  }

  combine({ op }: Vertex, [base, linked]: readonly Ref[]): Ref {
    if (op.kind !== 'merge' || base?.kind !== 'tree' || linked?.kind !== 'tree')
      throw new KilnError('INTERNAL', `a ${op.kind} puts nothing together`);
    return this.#options.refs.merge(base, linked);
  }

  async adopt({ result }: CacheRecord, inputs: readonly Ref[]): Promise<Result> {
    const parents = await this.resultIds(inputs);
    if (sameIds(parents, result.parents)) return result;
    const own = result.layers.at(-1);
    if (own === undefined) throw new KilnError('INTERNAL', 'a step’s result without a layer');
    const trees = inputs.filter((input) => input.kind === 'tree');
    const ids = await Promise.all(trees.map((input) => input.id()));
    const layers = [...(await rootOf(inputs).layers()), own];
    // Its record names their blobs, and is found from the moment on in which it is saved.
    await Promise.all(trees.map((input) => input.stored()));
    return { ...result, id: stepResultId(ids, own.descriptor.digest), parents, layers };
  }

  load(_vertex: Vertex, record: CacheRecord): Ref {
    return this.#options.refs.result(record.result);
  }

  selection(vertex: Vertex, input: number): Digest {
    return this.#selected(vertex, input, () => this.#known(this.#sourceOf(vertex, input).op));
  }

  /** What a step takes from an input whose files are known beforehand; undefined of others. */
  taken(vertex: Vertex, input: number): Taken | undefined {
    const { op } = this.#sourceOf(vertex, input);
    if (input === 0 || (op.kind !== 'local' && op.kind !== 'http')) return undefined;
    const local = this.#known(op);
    return takenFrom(vertex, input, local.tree, local);
  }

  expect(vertex: Vertex): void {
    const { sent } = this.#options;
    for (let input = 1; input < vertex.inputs.length; input++)
      sent.expect((this.taken(vertex, input)?.selections ?? []).flatMap(contentsOf));
  }

  async place({ op, platform }: Vertex): Promise<'here' | 'elsewhere'> {
    return op.kind === 'exec' ? this.#options.placement.of(platform) : 'here';
  }

  async delegate(part: Part, signal: AbortSignal): Promise<boolean> {
    const { placement, logs, telling, sources, pinContext: context } = this.#options;
    const { elsewhere } = placement;
    if (elsewhere === undefined) return false;
    const source = (vertex: Vertex): ReturnType<Sources['pin']> => sources.pin(vertex);
    const selection = (vertex: Vertex, input: number): Digest => this.selection(vertex, input);
    const pinned = await pinPart(part, { context, source, selection });
    const ran = await delegatePart(pinned, { elsewhere, logs, signal, ...telling });
    if (!ran) placement.forget();
    return ran;
  }

  async follow(vertex: Vertex, joined: Joined, signal: AbortSignal): Promise<boolean> {
    const { flights, logs } = this.#options;
    if (flights === undefined) throw new KilnError('INTERNAL', 'a build on its own joins nobody');
    return followFlight(vertex, joined, { flights, logs, signal });
  }

  exitCode(thrown: unknown): number | undefined {
    return ownExitCode(thrown);
  }

  async resultIds(values: readonly Ref[]): Promise<readonly ResultId[]> {
    return (await Promise.all(values.map(async (value) => (value.kind === 'tree' ? value.results() : [])))).flat();
  }

  contents(vertex: Vertex, inputs: readonly Ref[]): Promise<readonly InputContent[]> {
    return Promise.all(
      inputs.map(async (input, index): Promise<InputContent> => {
        if (input.kind === 'local') return { selection: this.#selected(vertex, index, () => input) };
        if (index > 0) return { selection: digestOf(takenFrom(vertex, index, await input.tree()).listing) };
        return { tree: await input.digest() };
      }),
    );
  }

  async run(vertex: Vertex, inputs: readonly Ref[], signal: AbortSignal): Promise<Ref> {
    const { clock, producer, content, refs } = this.#options;
    const { materialiser } = refs;
    const { workspace, snapshotter } = materialiser;
    const parents = inputs.filter((input) => input.kind === 'tree');
    const parent = await rootOf(inputs).snapshot();
    signal.throwIfAborted();
    this.#options.onRun?.(vertex);
    const key = workspace.name('a');
    const mounts = await snapshotter.prepare(key, parent);
    const startedAtMs = clock.nowMs();
    try {
      await this.#execute(vertex, inputs, mounts, signal);
    } catch (thrown) {
      await snapshotter.remove(key);
      throw thrown;
    }
    const finishedAtMs = clock.nowMs();
    const snapshot = workspace.name('s');
    await snapshotter.commit(snapshot, key);
    const pending = await this.#digest(snapshot, parent);
    return new StepOutcome({ snapshot, parents, pending, startedAtMs, finishedAtMs, producer, content, materialiser });
  }

  settle(_vertex: Vertex, value: Ref, _inputs: readonly Ref[], settling: Settling, signal: AbortSignal): Promise<void> {
    return outcomeOf(value).settle(settling, signal);
  }

  isEmpty(value: Ref): Promise<boolean> {
    return outcomeOf(value).isEmpty();
  }

  #sourceOf(vertex: Vertex, input: number): Vertex {
    const edge = vertex.inputs[input];
    const source = edge === undefined ? undefined : this.#options.definition.vertices.get(edge.vertex);
    if (source === undefined) throw new KilnError('INTERNAL', `a step has no input ${input}`);
    return source;
  }

  /** Files that are known before anything runs. */
  #known(op: Op): LocalRef {
    const { locals, sources } = this.#options;
    if (op.kind === 'http') return sources.httpRef(op);
    const local = op.kind === 'local' ? locals.get(op.name) : undefined;
    if (local === undefined) throw new KilnError('INTERNAL', `a ${op.kind} is no source of this build`);
    return local;
  }

  #selected(vertex: Vertex, input: number, files: () => LocalRef): Digest {
    const key = `${vertex.digest} ${input}`;
    let digest = this.#selections.get(key);
    if (digest === undefined) {
      const local = files();
      digest = digestOf(takenFrom(vertex, input, local.tree, local).listing);
      this.#selections.set(key, digest);
    }
    return digest;
  }

  async #execute(vertex: Vertex, inputs: readonly Ref[], mounts: readonly Mount[], signal: AbortSignal): Promise<void> {
    const { op } = vertex;
    const { exec, refs, logs, clock } = this.#options;
    const { workspace, shift } = refs.materialiser;
    await using root = await workspace.mount(mounts);
    const target = { path: root.path, shift, clock };
    switch (op.kind) {
      case 'exec':
        try {
          const log = (stream: 1 | 2, chunk: Uint8Array) => logs.write(vertex.digest, stream, chunk);
          const note = (text: string) => void logs.note(vertex.digest, text);
          const { materialiser } = refs;
          await using mounts = await StepMounts.open(op, { ...this.#options, materialiser, inputs, note, signal });
          await runExec({ op, root: target, workspace, settings: exec, mounts, log, signal });
          mounts.succeeded();
          return;
        } finally {
          await logs.end(vertex.digest);
        }
      case 'mkdir':
        return await runMkdir(op, target);
      case 'copy': {
        await using mounts = new AsyncDisposableStack();
        const sources = new Map<number, SourceTree>();
        for (const { input } of op.from) sources.set(input, await this.#sourceTree(inputs[input], mounts));
        return await runCopy({ op, sources, root: target, signal });
      }
      default:
        throw new KilnError('INTERNAL', `a ${op.kind} does not run`);
    }
  }

  /** An input's files where a copy can read them, for as long as `mounts` is held. */
  async #sourceTree(source: Ref | undefined, mounts: AsyncDisposableStack): Promise<SourceTree> {
    const { refs, content, sent } = this.#options;
    if (source === undefined) throw new KilnError('INTERNAL', 'a copy without source');
    if (source.kind === 'local') return { tree: source.tree, from: { content, sent } };
    const { workspace, snapshotter } = refs.materialiser;
    const mounted = mounts.use(await workspace.mount(await snapshotter.view(await source.snapshot())));
    return { tree: await source.tree(), from: { path: mounted.path } };
  }

  /** Starts to digest and compress the step's changes beside what runs next. */
  async #digest(snapshot: string, parent: string): Promise<PendingLayer> {
    // It goes on where another step fails: what ran is kept.
    const { differ, refs, content, pending, signal } = this.#options;
    const { workspace, snapshotter, shift } = refs.materialiser;
    const stop = new AbortController();
    const lower = await workspace.mount(await snapshotter.view(parent));
    const diff = differ.compare({
      upper: snapshotter.upperOf(snapshot),
      lower: lower.path,
      shift,
      signal: AbortSignal.any([signal, stop.signal]),
    });
    const delta = diff.delta.finally(() => lower[Symbol.asyncDispose]());
    delta.catch(() => {});
    diff.layer.catch(() => {});
    const layer = once(async (): Promise<Layer> => {
      const { file, digest, sizeBytes, diffId } = await diff.layer;
      pending.offer(digest, file);
      return { descriptor: { mediaType: mediaType.ociLayerGzip, digest, size: sizeBytes }, diffId };
    });
    return {
      delta,
      layer,
      async store(saving): Promise<void> {
        const { file, digest } = await diff.layer;
        await content.put(createReadStream(file), digest, saving);
      },
      async drop(): Promise<void> {
        stop.abort(new Error('nobody wants this layer'));
        const made = await diff.layer.catch(() => undefined);
        if (made === undefined) return;
        pending.withdraw(made.digest, made.file);
        await rm(made.file, { force: true });
      },
    };
  }
}

function rootOf(inputs: readonly Ref[]): TreeRef {
  const root = inputs[0];
  if (root?.kind !== 'tree') throw new KilnError('INTERNAL', 'a step without a root');
  return root;
}

function sameIds(one: readonly ResultId[], other: readonly ResultId[]): boolean {
  return one.length === other.length && one.every((id, index) => id === other[index]);
}

function outcomeOf(value: Ref): StepOutcome {
  if (!(value instanceof StepOutcome)) throw new KilnError('INTERNAL', 'only a step that ran can be settled');
  return value;
}

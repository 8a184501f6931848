import {
  type CacheRecord,
  type CacheStore,
  chooseHits,
  type Choice,
  contentKey,
  definitionKeys,
  type ExplainedKey,
  type Flights,
  opKey,
  type OpKey,
  type Result,
  type ResultId,
  type StepRun,
} from '#cache';
import { type Definition, isStep, type Vertex } from '#graph';
import type { Digest } from '#oci';
import type { BuildEvent } from '#protocol';
import { type Clock, KilnError } from '#std';
import pLimit from 'p-limit';
import { type Explaining, Misses } from './misses.ts';
import type { OpRunner } from './op-runner.ts';
import { partOf, standsOn, stepsFrom } from './part.ts';
import { SingleFlight } from './single-flight.ts';
import { StepReports } from './step-reports.ts';
import { ResultLost, VertexFailure } from './vertex-failure.ts';

export interface SolveOptions<R> {
  readonly definition: Definition;
  readonly runner: OpRunner<R>;
  readonly cache: CacheStore;
  /** what the rest of the farm runs; undefined where there is no rest */
  readonly flights?: Flights | undefined;
  readonly clock: Clock;
  readonly report: (event: BuildEvent) => void;
  /** how many steps run at a time */
  readonly parallelism: number;
  /** what tells why steps miss */
  readonly explaining?: Explaining | undefined;
  /** told of the value of a vertex, step or not, once it has one */
  readonly onValue?: ((vertex: Digest, value: R) => void) | undefined;
  /** told of every step's result, and by which keys this build knows it; nothing goes on without it */
  readonly onResult?: ((vertex: Vertex, keys: readonly ExplainedKey[], result: Result) => Promise<void>) | undefined;
  /** told of what each step that ran gave, before it is saved */
  readonly onRan?: ((run: StepRun) => Promise<void>) | undefined;
  /** results that are given, by vertex: no other record of these is used, and none of them is made */
  readonly results?: ReadonlyMap<Digest, ResultId> | undefined;
  readonly signal: AbortSignal;
}

interface SolverOptions<R> extends SolveOptions<R> {
  /** ends later than `signal`: with the build itself */
  readonly saving: AbortSignal;
}

/** One definition on its way to its results. */
export class GraphSolver<R> {
  readonly #options: SolverOptions<R>;
  readonly #once: SingleFlight<R>;
  readonly #reports: StepReports;
  readonly #values = new Map<Digest, Promise<R>>();
  readonly #done = new Map<Digest, R>();
  /** steps that another node ran for this solve */
  readonly #delegated = new Set<Digest>();
  readonly #background: Promise<void>[] = [];
  readonly #saved = new Map<Digest, Promise<void>>();
  #choice: Choice = { hits: new Map(), needed: new Set() };
  #keys: ReadonlyMap<Digest, ExplainedKey> = new Map();
  /** all that were found, those that are too old included */
  #records: ReadonlyMap<Digest, readonly CacheRecord[]> = new Map();
  #knownOps: ReadonlySet<OpKey> = new Set();
  #misses: Misses | undefined;
  failure: VertexFailure | undefined;

  constructor(options: SolverOptions<R>) {
    this.#options = options;
    this.#reports = new StepReports({
      ...options,
      told: ({ digest }) => this.#misses?.told(digest),
      exitCode: (thrown) => options.runner.exitCode(thrown),
    });
    this.#once = new SingleFlight({
      ...options,
      flights: options.flights,
      limit: pLimit(options.parallelism),
      keyOf: (vertex) => this.#keyOf(vertex).key,
      allowed: (vertex, records) => this.#allowed(vertex, records),
      take: (vertex, record, waitedMs) => {
        this.#reports.hit(vertex, record, waitedMs);
        return options.runner.load(vertex, record);
      },
    });
  }

  async roots(): Promise<readonly R[]> {
    await this.#plan();
    return await Promise.all(this.#options.definition.roots.map(({ vertex }) => this.value(vertex)));
  }

  /** The one look-up, and which of its answers are used. */
  async #plan(): Promise<void> {
    const { definition, runner, cache, clock, results, signal } = this.#options;
    this.#keys = definitionKeys(definition, (vertex, input) => {
      try {
        return runner.selection(vertex, input);
      } catch (thrown) {
        throw this.#reports.failed(vertex, clock.nowMs(), thrown);
      }
    });
    const steps = [...definition.vertices.values()].filter(isStep);
    const keyOf = (vertex: Vertex): ExplainedKey => this.#keyOf(vertex);
    const answer = await cache.lookup(
      steps.map((step) => keyOf(step).key),
      steps.map(opKey),
      signal,
    );
    this.#knownOps = answer.ops;
    this.#records = new Map(steps.map((step) => [step.digest, answer.records.get(keyOf(step).key) ?? []]));
    const allowed = steps.map((step) => [step.digest, this.#allowed(step, this.#records.get(step.digest))] as const);
    this.#choice = chooseHits(definition, new Map(allowed), results);
    for (const digest of results?.keys() ?? []) {
      if (this.#isOpen(this.#vertex(digest)))
        throw new ResultLost(`the result of ${this.#vertex(digest).label.name} is not there any more`);
    }
    this.#reports.planned(definition, this.#choice);
    for (const step of steps) {
      const hit = this.#choice.hits.get(step.digest);
      if (hit !== undefined) await this.#tell(step, [keyOf(step)], hit.result);
    }
    const { explaining } = this.#options;
    const missed = steps.filter((step) => this.#isOpen(step));
    if (explaining !== undefined)
      this.#misses = new Misses({
        ...{ definition, keys: this.#keys, missed, explaining, clock },
        expired: new Map(missed.flatMap((step) => this.#expiry(step))),
      });
    const sure = steps.filter((step) => this.#isSureToRun(step));
    for (const step of sure) await this.#place(step);
    for (const step of sure) runner.expect?.(step);
  }

  #allowed({ digest, label }: Vertex, records: readonly CacheRecord[] = []): readonly CacheRecord[] {
    const given = this.#options.results?.get(digest);
    if (given !== undefined) return records.filter(({ result }) => result.id === given);
    const { ttlMs } = label;
    const nowMs = this.#options.clock.nowMs();
    return ttlMs === undefined ? records : records.filter(({ confirmedAtMs }) => confirmedAtMs > nowMs - ttlMs);
  }

  /** Since when the newest of a step's records has been too old, where all are. */
  #expiry({ digest, label: { ttlMs } }: Vertex): readonly (readonly [Digest, number])[] {
    const times = (this.#records.get(digest) ?? []).map(({ confirmedAtMs }) => confirmedAtMs);
    if (ttlMs === undefined || times.length === 0) return [];
    const endMs = Math.max(...times) + ttlMs;
    return endMs > this.#options.clock.nowMs() ? [] : [[digest, endMs]];
  }

  /** No later look-up can find it, so that what cannot run is told before anything does. */
  #isSureToRun(vertex: Vertex): boolean {
    return this.#isOpen(vertex) && (vertex.label.ignoreCache || !this.#knownOps.has(opKey(vertex)));
  }

  #isOpen({ digest }: Vertex): boolean {
    return this.#choice.needed.has(digest) && !this.#choice.hits.has(digest);
  }

  #place(vertex: Vertex): Promise<'here' | 'elsewhere'> {
    const { runner, signal } = this.#options;
    return this.#reports.named(vertex, () => runner.place(vertex, signal));
  }

  /** The value of a vertex; made at the first call. */
  value(digest: Digest): Promise<R> {
    let value = this.#values.get(digest);
    if (value === undefined) {
      value = this.#solve(this.#vertex(digest));
      // Its failure reaches whoever needs it; a sibling may fail first.
      value.then(
        (found) => {
          this.#done.set(digest, found);
          this.#options.onValue?.(digest, found);
        },
        () => {},
      );
      this.#values.set(digest, value);
    }
    return value;
  }

  /** Resolves when all that runs in the background is stored; throws its first failure. */
  async settled(): Promise<void> {
    while (this.#background.length > 0) await this.#background.shift();
    await this.#misses?.settled();
  }

  /** Resolves when nothing of this solve runs any more, however it ended. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#values.values());
    await Promise.allSettled(this.#background);
    await this.#misses?.settled();
  }

  async #solve(vertex: Vertex): Promise<R> {
    const { runner, signal } = this.#options;
    const hit = this.#choice.hits.get(vertex.digest);
    if (hit !== undefined) return runner.load(vertex, hit);
    if (!isStep(vertex) && vertex.inputs.length === 0)
      return this.#unstepped(vertex, () => runner.source(vertex, signal));
    const inputs = await Promise.all(vertex.inputs.map((edge) => this.value(edge.vertex)));
    signal.throwIfAborted();
    if (!isStep(vertex)) return this.#unstepped(vertex, async () => runner.combine(vertex, inputs));
    return (
      (await this.#ranElsewhere(vertex, inputs)) ??
      (await this.#byContent(vertex, inputs)) ??
      (await this.#elsewhere(vertex, inputs)) ??
      this.#reports.named(vertex, () => this.#once.run(vertex, inputs, () => this.#run(vertex, inputs)))
    );
  }

  /** Has a step that has no place here, and those that follow, run on another node. */
  async #elsewhere(vertex: Vertex, inputs: readonly R[]): Promise<R | undefined> {
    if ((await this.#place(vertex)) === 'here') return undefined;
    const { definition, runner, signal } = this.#options;
    return this.#reports.named(vertex, async () => {
      const open = (each: Vertex): boolean => this.#isOpen(each);
      const steps = stepsFrom(vertex, { definition, done: new Set(this.#done.keys()), open });
      const results = new Map<Digest, ResultId>();
      for (const below of standsOn(definition, steps)) {
        const [id] = await runner.resultIds([await this.value(below)]);
        await this.#saved.get(below);
        if (id !== undefined) results.set(below, id);
      }
      const ran = await runner.delegate(partOf(definition, { platform: vertex.platform, steps, results }), signal);
      // Nobody is there any more: it runs here, or fails by name.
      if (!ran) return this.#elsewhere(vertex, inputs);
      for (const step of steps) this.#delegated.add(step);
      const found = (await this.#ranElsewhere(vertex, inputs)) ?? (await this.#byContent(vertex, inputs));
      if (found === undefined) throw new ResultLost('what another builder made in this step is not there any more');
      return found;
    });
  }

  async #ranElsewhere(vertex: Vertex, inputs: readonly R[]): Promise<R | undefined> {
    if (!this.#delegated.has(vertex.digest)) return undefined;
    const record = await this.#once.find(vertex, inputs);
    if (record === undefined) return undefined;
    await this.#tell(vertex, [this.#keyOf(vertex)], record.result);
    return this.#options.runner.load(vertex, record);
  }

  /** What nobody counts as a step: it has no key to look up and nothing to record. */
  async #unstepped(vertex: Vertex, make: () => Promise<R>): Promise<R> {
    const { clock, report } = this.#options;
    const startedAtMs = clock.nowMs();
    report({ type: 'vertexStarted', atMs: startedAtMs, vertex: vertex.digest });
    const value = await this.#reports.named(vertex, make, startedAtMs);
    const atMs = clock.nowMs();
    report({ type: 'vertexDone', atMs, vertex: vertex.digest, outcome: 'done', durationMs: atMs - startedAtMs });
    return value;
  }

  /** A step whose inputs have other names but the same contents as in an earlier run. */
  async #byContent(vertex: Vertex, inputs: readonly R[]): Promise<R | undefined> {
    const { runner, cache, signal } = this.#options;
    const delegated = this.#delegated.has(vertex.digest);
    // Nothing like it was ever run: no need to wait for the inputs' digests.
    if (!delegated && (vertex.label.ignoreCache || !this.#knownOps.has(opKey(vertex)))) return undefined;
    return this.#reports.named(vertex, async () => {
      const key = contentKey(vertex, await runner.contents(vertex, inputs, signal));
      const answer = await cache.lookup([key.key], [], signal);
      const [found] = this.#allowed(vertex, answer.records.get(key.key));
      if (found === undefined) return undefined;
      const adopted = await runner.adopt(found, inputs);
      // So that the next build finds it in its first look-up.
      const result = await cache.save([this.#keyOf(vertex), key], adopted, found.confirmedAtMs, signal);
      await this.#tell(vertex, [this.#keyOf(vertex), key], result);
      const record = { ...found, result };
      // The other node has told of it.
      if (!delegated) this.#reports.hit(vertex, record);
      return runner.load(vertex, record);
    });
  }

  async #run(vertex: Vertex, inputs: readonly R[]): Promise<R> {
    const { runner, clock, signal, report } = this.#options;
    signal.throwIfAborted();
    const startedAtMs = clock.nowMs();
    const begun = this.#misses?.begin(vertex);
    const missed = begun && (await this.#misses?.inTime(vertex, begun));
    report({ type: 'vertexStarted', atMs: startedAtMs, vertex: vertex.digest, ...missed });
    const value = await this.#reports.named(vertex, () => runner.run(vertex, inputs, signal), startedAtMs);
    const atMs = clock.nowMs();
    const done = { type: 'vertexDone', vertex: vertex.digest, outcome: 'run', durationMs: atMs - startedAtMs } as const;
    // Only WORKDIR can turn out to have had nothing to do, and its layer is digested at once.
    const empty = vertex.op.kind === 'mkdir' ? { empty: await runner.isEmpty(value) } : {};
    report({ ...done, ...empty, ...this.#misses?.told(vertex.digest), atMs });
    const saved = this.#save(vertex, value, inputs, atMs).catch(async (thrown: unknown) => {
      const failure = thrown instanceof VertexFailure ? thrown : new VertexFailure(vertex, thrown);
      this.failure ??= failure;
      await this.#once.land(vertex);
      throw failure;
    });
    saved.catch(() => {});
    this.#saved.set(vertex.digest, saved);
    this.#background.push(saved);
    return value;
  }

  async #save(vertex: Vertex, value: R, inputs: readonly R[], ranAtMs: number): Promise<void> {
    const { runner, cache, saving, onRan } = this.#options;
    const earlier = this.#records.get(vertex.digest) ?? [];
    const reserve = (result: Result): Promise<Result> => cache.reserve(result, saving);
    const save = async (result: Result): Promise<Result> => {
      const content = contentKey(vertex, await runner.contents(vertex, inputs, saving));
      const keys = [this.#keyOf(vertex), content];
      await onRan?.({ name: vertex.label.name, key: content.key, tree: result.tree });
      const stored = await cache.save(keys, result, ranAtMs, saving);
      await this.#tell(vertex, keys, stored);
      return stored;
    };
    await runner.settle(vertex, value, inputs, { earlier, reserve, save }, saving);
  }

  async #tell(vertex: Vertex, keys: readonly ExplainedKey[], result: Result): Promise<void> {
    await this.#options.onResult?.(vertex, keys, result);
  }

  #keyOf(vertex: Vertex): ExplainedKey {
    const key = this.#keys.get(vertex.digest);
    if (key === undefined) throw new KilnError('INTERNAL', `no key for ${vertex.label.name}`);
    return key;
  }

  #vertex(digest: Digest): Vertex {
    const vertex = this.#options.definition.vertices.get(digest);
    if (vertex === undefined) throw new KilnError('INTERNAL', `the definition has no vertex ${digest}`);
    return vertex;
  }
}

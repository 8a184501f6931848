import type { CacheKey, CacheRecord, CacheStore, Flight, Flights } from '#cache';
import { taintedVertices } from '#cache';
import type { Definition, Vertex } from '#graph';
import type { Digest } from '#oci';
import type { BuildEvent } from '#protocol';
import type { Clock } from '#std';
import type { LimitFunction } from 'p-limit';
import type { OpRunner } from './op-runner.ts';

export interface SingleFlightOptions<R> {
  readonly definition: Definition;
  readonly runner: Pick<OpRunner<R>, 'follow' | 'resultIds'>;
  readonly cache: CacheStore;
  /** undefined where nobody else runs steps */
  readonly flights: Flights | undefined;
  readonly clock: Clock;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
  /** of the build's steps that run */
  readonly limit: LimitFunction;
  readonly keyOf: (vertex: Vertex) => CacheKey;
  /** Those of a step's records that this build may use. */
  readonly allowed: (vertex: Vertex, records: readonly CacheRecord[] | undefined) => readonly CacheRecord[];
  /** Takes a record for a step; `waitedMs` where another build ran it meanwhile. */
  readonly take: (vertex: Vertex, record: CacheRecord, waitedMs?: number) => R;
}

/** So many builds may leave a step unfinished before it is run without asking. */
const MAX_JOINS = 3;

/** Runs a step unless another build of the farm is at it; then waits for that one, and goes on where it fails to end it. */
export class SingleFlight<R> {
  readonly #options: SingleFlightOptions<R>;
  readonly #tainted: ReadonlySet<Digest>;

  constructor(options: SingleFlightOptions<R>) {
    this.#options = options;
    this.#tainted = taintedVertices(options.definition);
  }

  /** @param work runs the step; its result is saved under the step's key, or the flight is landed with {@link land} */
  async run(vertex: Vertex, inputs: readonly R[], work: () => Promise<R>): Promise<R> {
    const { flights, limit } = this.#options;
    // It stands on other results than its key lets others expect.
    const alone = vertex.inputs.some((edge) => this.#tainted.has(edge.vertex));
    if (flights === undefined || alone) return limit(work);
    // What must run anew may be joined, but joins nobody.
    for (let joins = vertex.label.ignoreCache ? 0 : MAX_JOINS; ; joins--) {
      const turn = await limit(() => this.#turn(flights, vertex, inputs, { joins: joins > 0, work }));
      if ('value' in turn) return turn.value;
      // Outside of the limit: who waits holds nothing that another step could use.
      const joined = await this.#join(vertex, inputs, turn.flight);
      if ('value' in joined) return joined.value;
      if (!joined.again) joins = 1;
    }
  }

  /** Gives a step up that was not saved. */
  async land(vertex: Vertex): Promise<void> {
    await this.#options.flights?.land(this.#options.keyOf(vertex));
  }

  /** The record of a step that stands on the very values that this build has. */
  async find(vertex: Vertex, inputs: readonly R[]): Promise<CacheRecord | undefined> {
    const { runner, cache, keyOf, allowed, signal } = this.#options;
    const key = keyOf(vertex);
    const [parents, answer] = await Promise.all([runner.resultIds(inputs), cache.lookup([key], [], signal)]);
    return allowed(vertex, answer.records.get(key)).find(
      ({ result }) => result.parents.length === parents.length && result.parents.every((id, at) => id === parents[at]),
    );
  }

  async #turn(
    flights: Flights,
    vertex: Vertex,
    inputs: readonly R[],
    { joins, work }: { readonly joins: boolean; readonly work: () => Promise<R> },
  ): Promise<{ readonly value: R } | { readonly flight: Flight }> {
    const { keyOf, take, signal } = this.#options;
    signal.throwIfAborted();
    const boarding = await flights.board(keyOf(vertex), vertex.digest);
    if (boarding.role === 'passenger') return joins ? { flight: boarding.flight } : { value: await work() };
    try {
      // Another build may have ended it since this one looked.
      const found = boarding.recorded && !vertex.label.ignoreCache ? await this.find(vertex, inputs) : undefined;
      if (found === undefined) return { value: await work() };
      await this.land(vertex);
      return { value: take(vertex, found) };
    } catch (thrown) {
      await this.land(vertex);
      throw thrown;
    }
  }

  async #join(
    vertex: Vertex,
    inputs: readonly R[],
    flight: Flight,
  ): Promise<{ readonly value: R } | { readonly again: boolean }> {
    const { runner, keyOf, take, clock, report, signal } = this.#options;
    const startedAtMs = clock.nowMs();
    report({ type: 'vertexStarted', atMs: startedAtMs, vertex: vertex.digest });
    const again = await runner.follow(vertex, { key: keyOf(vertex), flight }, signal);
    signal.throwIfAborted();
    const found = await this.find(vertex, inputs);
    return found === undefined ? { again } : { value: take(vertex, found, clock.nowMs() - startedAtMs) };
  }
}

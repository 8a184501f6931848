import type { CacheRecord, Choice } from '#cache';
import { type Definition, isStep, type Vertex } from '#graph';
import type { BuildEvent, HitSource } from '#protocol';
import { type Clock, messageOf } from '#std';
import type { Missed } from './misses.ts';
import { VertexFailure } from './vertex-failure.ts';

export interface StepReportsOptions {
  readonly clock: Clock;
  readonly report: (event: BuildEvent) => void;
  /** why a step missed, where that is known by now */
  readonly told: (vertex: Vertex) => Missed | undefined;
  readonly exitCode: (thrown: unknown) => number | undefined;
  readonly signal: AbortSignal;
}

/** Tells what becomes of the vertices of a graph. */
export class StepReports {
  readonly #options: StepReportsOptions;

  constructor(options: StepReportsOptions) {
    this.#options = options;
  }

  /** All that is known when the graph is planned. */
  planned(definition: Definition, { hits, needed }: Choice): void {
    const { clock, report } = this.#options;
    for (const vertex of definition.vertices.values()) {
      const record = hits.get(vertex.digest);
      if (record !== undefined) this.hit(vertex, record);
      else if (!needed.has(vertex.digest)) {
        // Below a hit: its own record may be gone, its result is part of the hit's chain.
        const outcome = isStep(vertex) ? 'hit' : 'done';
        report({ type: 'vertexDone', atMs: clock.nowMs(), vertex: vertex.digest, outcome, durationMs: 0 });
      }
    }
  }

  /** @param waitedMs for another build that ran it meanwhile */
  hit(vertex: Vertex, { kind, result }: CacheRecord, waitedMs?: number): void {
    const layer = result.layers.at(-1);
    const hit: HitSource = {
      key: kind,
      result: result.id,
      ...result.producer,
      savedMs: Math.max(0, result.costMs - (waitedMs ?? 0)),
      savedBytes: layer?.descriptor.size ?? 0,
    };
    const empty = vertex.op.kind === 'mkdir' ? { empty: result.empty } : {};
    this.#options.report({
      type: 'vertexDone',
      atMs: this.#options.clock.nowMs(),
      vertex: vertex.digest,
      outcome: waitedMs === undefined ? 'hit' : 'joined',
      durationMs: waitedMs ?? 0,
      hit,
      ...empty,
    });
  }

  /** Puts the vertex' name on a failure and reports it once. */
  async named<T>(
    vertex: Vertex,
    work: () => Promise<T>,
    startedAtMs: number = this.#options.clock.nowMs(),
  ): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      this.#options.signal.throwIfAborted();
      throw this.failed(vertex, startedAtMs, thrown);
    }
  }

  failed(vertex: Vertex, startedAtMs: number, thrown: unknown): VertexFailure {
    if (thrown instanceof VertexFailure) return thrown;
    const { clock, report, told, exitCode } = this.#options;
    const atMs = clock.nowMs();
    const code = exitCode(thrown);
    const failed = { type: 'vertexFailed', atMs, vertex: vertex.digest, durationMs: atMs - startedAtMs } as const;
    report({
      ...failed,
      message: messageOf(thrown),
      ...told(vertex),
      ...(code === undefined ? {} : { exitCode: code }),
    });
    return new VertexFailure(vertex, thrown);
  }
}

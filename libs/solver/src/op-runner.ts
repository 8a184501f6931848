import type { CacheKey, CacheRecord, Flight, InputContent, Result, ResultId } from '#cache';
import type { Vertex } from '#graph';
import type { Digest } from '#oci';
import type { Part } from './part.ts';

/** A step that another build runs. */
export interface Joined {
  readonly key: CacheKey;
  readonly flight: Flight;
}

export interface Settling {
  /** what the step's key had before it ran */
  readonly earlier: readonly CacheRecord[];
  /** fixes what a result is; hands back the one that others made of the same, or this one */
  readonly reserve: (result: Result) => Promise<Result>;
  /** makes a result known; hands back the one that is stored */
  readonly save: (result: Result) => Promise<Result>;
}

/** What the solver needs to know of operations. One runner serves one build; R is a tree in whatever form it likes. */
export interface OpRunner<R> {
  /** Of an image, the empty tree or a tree that the client sent; must not move their bytes. */
  source(vertex: Vertex, signal: AbortSignal): Promise<R>;
  /** Of a vertex that puts its inputs together without running anything (a merge); must not move their bytes. */
  combine(vertex: Vertex, inputs: readonly R[]): R;
  /**
   * The result of a record that was found by content, on these inputs: the record's own layer on theirs. Waits until the
   * inputs are stored, so that it can be recorded.
   */
  adopt(record: CacheRecord, inputs: readonly R[]): Promise<Result>;
  /** The result of a record, lazily: nothing is fetched before a running step needs it. */
  load(vertex: Vertex, record: CacheRecord): R;
  /** Digest of what a step takes from an input whose files are known beforehand. */
  selection(vertex: Vertex, input: number): Digest;
  /**
   * The contents of the inputs as a content key takes them. May wait for the inputs' layers to be digested.
   */
  contents(vertex: Vertex, inputs: readonly R[], signal: AbortSignal): Promise<readonly InputContent[]>;
  /**
   * Where a step has to run.
   * @throws KilnError PLATFORM_UNAVAILABLE when nobody can run it
   */
  place(vertex: Vertex, signal: AbortSignal): Promise<'here' | 'elsewhere'>;
  /**
   * Has steps run somewhere else, and reports them; resolves when their results are recorded.
   * @returns false when it turned out that nobody else is there
   */
  delegate(part: Part, signal: AbortSignal): Promise<boolean>;
  /**
   * Waits until the flight that runs this step has ended, and tells of it as if it were this build's own.
   * @returns false when it ended in a way that may hold for that build alone: then nobody else need be waited for
   * @throws what this build's own run of the step would have thrown
   */
  follow(vertex: Vertex, joined: Joined, signal: AbortSignal): Promise<boolean>;
  /** The exit code of a failed step's process where it ended by itself, as it would for any other build. */
  exitCode(thrown: unknown): number | undefined;
  /** The results that a step on these values names as parents (a merge counts as what it merges); waits until they are known. */
  resultIds(values: readonly R[]): Promise<readonly ResultId[]>;
  /** Executes the vertex; resolves as soon as the next step can stand on the result. */
  run(vertex: Vertex, inputs: readonly R[], signal: AbortSignal): Promise<R>;
  /**
   * Waits until the layer of a {@link run} is digested and stored. Where it is equivalent to one of `earlier` on the same
   * parents, that one is the result and the new layer is dropped. What `save` answers is the value's result from then on.
   */
  settle(
    vertex: Vertex,
    value: R,
    inputs: readonly R[],
    { earlier, save }: Settling,
    signal: AbortSignal,
  ): Promise<void>;
  /** Told of a step that is sure to run, long before it does: what it takes from elsewhere may be sent for. */
  expect?(vertex: Vertex): void;
  /** Whether the result of a step has an empty layer (a WORKDIR that existed). */
  isEmpty(value: R): Promise<boolean>;
}

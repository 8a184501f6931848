import type { Descriptor, Digest, Layer } from '#oci';
import type { Brand, Json } from '#std';

/** `sha256:…` over a key's preimage; see docs/cache.md. */
export type CacheKey = Brand<Digest, 'CacheKey'>;

/** Key over an operation alone, without its inputs: says whether anything like it was ever run. */
export type OpKey = Brand<Digest, 'OpKey'>;

/** Over what a result is made of: its parents and its layer. Two runs that made the same bytes are one result. */
export type ResultId = Brand<Digest, 'ResultId'>;

export type KeyKind = 'definition' | 'content' | 'trace';

/** A layer with the list of what it changes (a delta, JSON; `#content`). */
export interface StoredLayer extends Layer {
  readonly delta: Descriptor;
  /** when the step that made it ended; undefined for layers of images */
  readonly createdAtMs?: number | undefined;
}

/** What running a vertex gave. Nothing in it is ever changed. */
export interface Result {
  readonly id: ResultId;
  /** of all inputs, in their order; of a merge, which is no result, what it merges */
  readonly parents: readonly ResultId[];
  /** every layer of the tree from the first, this result's own last */
  readonly layers: readonly StoredLayer[];
  /** of the whole tree */
  readonly tree: Digest;
  /** the own layer changes nothing (a WORKDIR that existed) */
  readonly empty: boolean;
  /** what the run cost */
  readonly costMs: number;
  /** the run's own time window: mtimes within it are the run's doing */
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly producer: Producer;
}

export interface Producer {
  readonly buildId: string;
  readonly builderId: string;
  /** name of the scope that the record was written to */
  readonly scope: string;
}

/** One key's claim on one result. */
export interface CacheRecord {
  readonly key: CacheKey;
  readonly kind: KeyKind;
  readonly result: Result;
  /** when a run last gave this result under this key: at its first one, or at a later one that gave the same */
  readonly confirmedAtMs: number;
}

/** What a step that ran gave. */
export interface StepRun {
  /** of its vertex */
  readonly name: string;
  /** over the contents of its inputs */
  readonly key: CacheKey;
  readonly tree: Digest;
}

/** A key with what it hashes, kept so that a later miss can be explained. */
export interface ExplainedKey {
  readonly key: CacheKey;
  readonly kind: KeyKind;
  readonly op: OpKey;
  readonly preimage: Json;
}

export interface LookupAnswer {
  /** newest first, at most {@link MAX_CANDIDATES} a key; keys without a record are absent */
  readonly records: ReadonlyMap<CacheKey, readonly CacheRecord[]>;
  /** those of the asked operations that have any record at all */
  readonly ops: ReadonlySet<OpKey>;
}

/** How many results of one key a look-up gives. */
export const MAX_CANDIDATES = 8;

/** A result as it is where the first run that gave it ran at these times. */
export function madeAt(result: Result, times: Pick<Result, 'startedAtMs' | 'finishedAtMs'>): Result {
  const { startedAtMs, finishedAtMs } = times;
  const own = result.layers.at(-1);
  const layers = own === undefined ? [] : [...result.layers.slice(0, -1), { ...own, createdAtMs: finishedAtMs }];
  return { ...result, startedAtMs, finishedAtMs, layers };
}

/** The record index as one build sees it: its project, what its scope reads, where its scope writes. */
export interface CacheStore {
  /** One round trip for all keys. The own scope comes before inherited ones, within a scope the newest first. */
  lookup(keys: readonly CacheKey[], ops: readonly OpKey[], signal?: AbortSignal): Promise<LookupAnswer>;
  /**
   * Fixes what a result is before its blobs are stored, so that it can be told of: what is made of the same is the same result.
   * It is not found by anybody until it is saved.
   * @returns the one that is stored, or this one, with the times of the first that was reserved
   */
  reserve(result: Result, signal?: AbortSignal): Promise<Result>;
  /**
   * Makes a result known under all the keys, at once or not at all.
   * @returns the result as it is stored: what is made of the same is the same result, and the first to come stays, times and all
   * @param confirmedAtMs when a run gave it; the latest one counts
   * @throws KilnError FENCED when the build has gone to another builder
   */
  save(keys: readonly ExplainedKey[], result: Result, confirmedAtMs: number, signal?: AbortSignal): Promise<Result>;
  /** Takes back what refers to blobs that are lost or damaged, in every scope that the build reads. */
  forget(blobs: ReadonlySet<Digest>, signal?: AbortSignal): Promise<void>;
  /** Deltas of layers that no step made (base images), by diffID. */
  findDeltas(diffIds: readonly Digest[], signal?: AbortSignal): Promise<ReadonlyMap<Digest, Descriptor>>;
  saveDelta(diffId: Digest, delta: Descriptor, signal?: AbortSignal): Promise<void>;
}

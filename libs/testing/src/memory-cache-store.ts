import {
  blobsOf,
  type CacheKey,
  type CacheRecord,
  type CacheStore,
  type ExplainedKey,
  type LookupAnswer,
  madeAt,
  MAX_CANDIDATES,
  type OpKey,
  type Result,
} from '#cache';
import type { Descriptor, Digest } from '#oci';
import { KilnError } from '#std';
import { MemoryFlights, type MemoryFlight } from './memory-flights.ts';

interface Entry {
  readonly project: string;
  readonly scope: string;
  readonly record: CacheRecord;
  readonly op: OpKey;
}

/** A record index in memory, shared by the stores that it opens. */
export class MemoryRecords {
  /** the newest last */
  entries: Entry[] = [];
  reserved: (Pick<Entry, 'project' | 'scope'> & { readonly result: Result })[] = [];
  readonly deltas = new Map<string, Map<Digest, Descriptor>>();
  flights: readonly MemoryFlight[] = [];
  builds = 0;

  /** @param scopes the own first, then the inherited ones */
  open(project: string, scopes: readonly [string, ...string[]]): MemoryCacheStore {
    return new MemoryCacheStore(this, project, scopes);
  }
}

/** A cache store in memory that keeps the contract. */
export class MemoryCacheStore implements CacheStore {
  readonly #records: MemoryRecords;
  readonly #project: string;
  readonly #scopes: readonly [string, ...string[]];
  readonly flights: MemoryFlights;
  #lost = false;

  constructor(records: MemoryRecords, project: string, scopes: readonly [string, ...string[]]) {
    this.#records = records;
    this.#project = project;
    this.#scopes = scopes;
    this.flights = new MemoryFlights(records, { project, scopes, isLost: () => this.#lost });
  }

  /** The build goes to another builder. */
  lose(): void {
    this.#lost = true;
    this.flights.end();
  }

  async lookup(keys: readonly CacheKey[], ops: readonly OpKey[], signal?: AbortSignal): Promise<LookupAnswer> {
    signal?.throwIfAborted();
    const readable = this.#scopes.flatMap((scope) =>
      this.#records.entries.filter((entry) => entry.project === this.#project && entry.scope === scope).reverse(),
    );
    const records = new Map<CacheKey, readonly CacheRecord[]>();
    for (const key of keys) {
      const found = readable.filter(({ record }) => record.key === key).map(({ record }) => record);
      const distinct = found.filter((record, at) => found.findIndex((r) => r.result.id === record.result.id) === at);
      if (distinct.length > 0) records.set(key, distinct.slice(0, MAX_CANDIDATES));
    }
    return { records, ops: new Set(ops.filter((op) => readable.some((entry) => entry.op === op))) };
  }

  async reserve(result: Result, signal?: AbortSignal): Promise<Result> {
    signal?.throwIfAborted();
    const { entries, reserved } = this.#records;
    const [scope] = this.#scopes;
    const project = this.#project;
    const all = [...entries.map(({ record, ...where }) => ({ ...where, result: record.result })), ...reserved];
    const first = all.find((each) => each.project === project && each.scope === scope && each.result.id === result.id);
    if (first === undefined) reserved.push({ project, scope, result });
    return first === undefined ? result : madeAt(result, first.result);
  }

  async save(
    keys: readonly ExplainedKey[],
    result: Result,
    confirmedAtMs: number,
    signal?: AbortSignal,
  ): Promise<Result> {
    signal?.throwIfAborted();
    this.#checkFence();
    const [scope] = this.#scopes;
    const project = this.#project;
    const mine = (entry: Entry): boolean =>
      entry.project === project && entry.scope === scope && entry.record.result.id === result.id;
    // What is made of the same is the same result: the first to be stored stays.
    const stored = this.#records.entries.find(mine)?.record.result ?? result;
    const named = new Set(keys.map(({ key }) => key));
    const known = new Map(this.#records.entries.filter(mine).map(({ record }) => [record.key, record.confirmedAtMs]));
    this.#records.entries = this.#records.entries.filter((entry) => !mine(entry) || !named.has(entry.record.key));
    for (const { key, kind, op } of keys) {
      const latestMs = Math.max(confirmedAtMs, known.get(key) ?? 0);
      this.#records.entries.push({
        project,
        scope,
        op,
        record: { key, kind, result: stored, confirmedAtMs: latestMs },
      });
      await this.flights.land(key);
    }
    return stored;
  }

  async forget(blobs: ReadonlySet<Digest>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const lost = ({ project, scope, record }: Entry): boolean =>
      project === this.#project &&
      this.#scopes.includes(scope) &&
      blobsOf(record.result).some((digest) => blobs.has(digest));
    this.#records.entries = this.#records.entries.filter((entry) => !lost(entry));
    const deltas = this.#deltas();
    for (const [diffId, { digest }] of deltas) if (blobs.has(digest)) deltas.delete(diffId);
  }

  async findDeltas(diffIds: readonly Digest[], signal?: AbortSignal): Promise<ReadonlyMap<Digest, Descriptor>> {
    signal?.throwIfAborted();
    const wanted = new Set(diffIds);
    return new Map([...this.#deltas()].filter(([diffId]) => wanted.has(diffId)));
  }

  async saveDelta(diffId: Digest, delta: Descriptor, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#checkFence();
    this.#deltas().set(diffId, delta);
  }

  #deltas(): Map<Digest, Descriptor> {
    const known = this.#records.deltas.get(this.#project);
    if (known !== undefined) return known;
    const deltas = new Map<Digest, Descriptor>();
    this.#records.deltas.set(this.#project, deltas);
    return deltas;
  }

  #checkFence(): void {
    if (this.#lost) throw new KilnError('FENCED', 'the build is no longer held');
  }
}

import type { Boarding, CacheKey, Flight, Flights } from '#cache';
import type { Digest } from '#oci';
import { KilnError } from '#std';
import type { MemoryRecords } from './memory-cache-store.ts';

export interface MemoryFlight extends Flight {
  readonly project: string;
  readonly scope: string;
  readonly key: CacheKey;
}

export interface MemoryFlightsOptions {
  readonly project: string;
  readonly scopes: readonly [string, ...string[]];
  readonly isLost: () => boolean;
}

/** Flights in memory that keep the contract, as one build of its own sees them. */
export class MemoryFlights implements Flights {
  readonly buildId: string;
  readonly #fence: number;

  constructor(
    readonly records: MemoryRecords,
    readonly options: MemoryFlightsOptions,
  ) {
    this.#fence = ++records.builds;
    this.buildId = `build ${this.#fence}`;
  }

  async board(key: CacheKey, vertex: Digest): Promise<Boarding> {
    const { buildId, records } = this;
    const { project, scopes, isLost } = this.options;
    if (isLost()) throw new KilnError('FENCED', 'the build is no longer held');
    const readable = scopes.flatMap((scope) =>
      records.flights.filter((each) => each.project === project && each.scope === scope && each.key === key),
    );
    const known = readable.find((each) => each.buildId !== buildId || each.vertex !== vertex);
    if (known !== undefined) {
      const { fence, attempt, afterSeq } = known;
      return { role: 'passenger', flight: { buildId: known.buildId, fence, attempt, vertex: known.vertex, afterSeq } };
    }
    const flight = { project, scope: scopes[0], key, buildId, fence: this.#fence, attempt: 1, vertex, afterSeq: 0 };
    if (readable.length === 0) records.flights = [...records.flights, flight];
    const recorded = records.entries.some(
      (entry) => entry.project === project && scopes.includes(entry.scope) && entry.record.key === key,
    );
    return { role: 'owner', recorded };
  }

  async land(key: CacheKey): Promise<void> {
    this.records.flights = this.records.flights.filter((each) => each.buildId !== this.buildId || each.key !== key);
  }

  async isInAir(key: CacheKey, { buildId, vertex }: Flight): Promise<boolean> {
    const { records, options } = this;
    return records.flights.some(
      (each) =>
        each.project === options.project && each.key === key && each.buildId === buildId && each.vertex === vertex,
    );
  }

  /** The build's claim ends. */
  end(): void {
    this.records.flights = this.records.flights.filter((each) => each.buildId !== this.buildId);
  }
}

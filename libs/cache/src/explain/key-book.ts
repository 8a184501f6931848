import type { ComparedBuild } from '#protocol';
import type { CacheKey } from '../record.ts';
import type { KeptVertex, KeyedVertex } from './keyed-vertex.ts';

/** What became of the records of one key. */
export interface KeyEnd {
  /** there is one that the build may read */
  readonly there: boolean;
  /** the project has one in a scope that the build may not read */
  readonly elsewhere: boolean;
  readonly gone?: {
    readonly reason: 'evicted' | 'lost' | 'disowned';
    readonly at: string;
    readonly detail?: string | undefined;
  };
}

export interface PastBuild extends ComparedBuild {
  readonly vertices: readonly KeyedVertex[];
}

export interface KeyAnswer {
  /** the nearest build that can be compared with this one */
  readonly past: PastBuild | undefined;
  /** of the keys that were asked for; none says that nothing is known */
  readonly ends: ReadonlyMap<CacheKey, KeyEnd>;
}

/** What keys builds had: kept so that a later miss can be explained, and for nothing else. */
export interface KeyBook {
  /**
   * Keeps those of this build, in the background; a failure is the book's own affair.
   * @param known all of them are in the cache, so that what they hash has been kept before
   */
  keep(vertices: readonly KeptVertex[], known: boolean): void;
  /** One round trip. */
  ask(vertices: readonly KeptVertex[], missed: readonly CacheKey[]): Promise<KeyAnswer>;
}

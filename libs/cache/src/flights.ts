import type { Digest } from '#oci';
import type { CacheKey } from './record.ts';

/** A step that some build of the farm runs now. */
export interface Flight {
  readonly buildId: string;
  /** of the claim under which it runs */
  readonly fence: number;
  /** which claim of the build that is, counted from 1 */
  readonly attempt: number;
  /** the step, as that build calls it */
  readonly vertex: Digest;
  /** number of that build's last event before the step */
  readonly afterSeq: number;
}

export type Boarding =
  /** The step is this build's to run. `recorded`: its key has records, of which some may have come a moment ago. */
  { readonly role: 'owner'; readonly recorded: boolean } | { readonly role: 'passenger'; readonly flight: Flight };

/**
 * Which steps are being run in the farm, as one build sees it: in the scopes that it reads. A flight ends when its result is
 * saved under its key (in the same transaction), when it is landed, and with the claim of its build.
 */
export interface Flights {
  /**
   * Asks for a step, in one round trip. Who owns it already owns it still.
   * @throws KilnError FENCED when the build has gone to another builder
   */
  board(key: CacheKey, vertex: Digest): Promise<Boarding>;
  /** Gives up a step that this build owns; does nothing to a flight of anybody else. */
  land(key: CacheKey): Promise<void>;
  /** Whether exactly this flight goes on. */
  isInAir(key: CacheKey, flight: Flight): Promise<boolean>;
}

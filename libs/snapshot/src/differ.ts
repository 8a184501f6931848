import type { DeltaEntry } from '#content';
import type { Digest } from '#oci';
import type { IdShift } from './snapshotter.ts';

export interface CompareRequest {
  /** the directory with a committed snapshot's own changes (upperOf) */
  readonly upper: string;
  /** the mounted view of its parent, kept mounted until `delta` settles; null when it has none */
  readonly lower: string | null;
  readonly shift: IdShift;
  readonly signal?: AbortSignal | undefined;
}

export interface LayerFile {
  /** of the tar */
  readonly diffId: Digest;
  /** of the compressed bytes */
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** the compressed bytes; the caller deletes it */
  readonly file: string;
}

/** `layer` fails where `delta` fails, and settles after it. Once either failed, nothing reads the directories any more. */
export interface Comparison {
  readonly delta: Promise<readonly DeltaEntry[]>;
  readonly layer: Promise<LayerFile>;
}

/** Tells what a snapshot changes, and makes a layer of it, off the event loop. */
export interface Differ {
  /**
   * @throws (both promises) KilnError STEP_FAILED when the changes make no layer, UNAVAILABLE when too many comparisons
   * wait, INTERNAL when its thread died; the signal's reason
   */
  compare(request: CompareRequest): Comparison;
}

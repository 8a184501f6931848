import type { DeltaEntry } from '#content';
import type { ErrorCode } from '#std';
import type { IdShift } from './snapshotter.ts';
import type { WrittenLayer } from './write-layer.ts';

/** What the differ's threads are told and tell; both ends are of the same build. */
export interface DifferJob {
  readonly upper: string;
  readonly lower: string | null;
  readonly shift: IdShift;
  readonly file: string;
  /** not 0: stop */
  readonly stop: SharedArrayBuffer;
}

export type DifferReply =
  | { readonly kind: 'delta'; readonly delta: readonly DeltaEntry[] }
  | { readonly kind: 'layer'; readonly layer: WrittenLayer }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | undefined;
      readonly stack: string | undefined;
    };

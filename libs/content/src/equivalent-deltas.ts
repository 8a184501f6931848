import { entryJson } from './entry-json.ts';
import type { DeltaEntry } from './tree.ts';

/** When a step ran, in milliseconds since the epoch. */
export interface TimeWindow {
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

/** Mtimes are whole seconds: the second in which the run began and the one in which it ended belong to it. */
function within(mtime: number, window: TimeWindow): boolean {
  return mtime >= Math.floor(window.startedAtMs / 1000) && mtime <= Math.ceil(window.finishedAtMs / 1000);
}

function equivalent(a: DeltaEntry, aWindow: TimeWindow, b: DeltaEntry, bWindow: TimeWindow): boolean {
  if (a.type === 'whiteout' || b.type === 'whiteout') return entryJson(a) === entryJson(b);
  if (a.mtime === b.mtime) return entryJson(a) === entryJson(b);
  return within(a.mtime, aWindow) && within(b.mtime, bWindow) && entryJson({ ...a, mtime: b.mtime }) === entryJson(b);
}

/**
 * Whether two runs of one step on one parent did the same: equal in everything, whiteouts and mtimes included, save
 * mtimes that lie within each run's own window. Both in order of paths.
 */
export function equivalentDeltas(
  a: readonly DeltaEntry[],
  aWindow: TimeWindow,
  b: readonly DeltaEntry[],
  bWindow: TimeWindow,
): boolean {
  if (a.length !== b.length) return false;
  return a.every((entry, index) => {
    const other = b[index];
    return other !== undefined && equivalent(entry, aWindow, other, bWindow);
  });
}

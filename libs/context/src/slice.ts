import { setImmediate as turn } from 'node:timers/promises';

/** How long the event loop may be held. */
const SLICE_MS = 5;
/** Steps between two looks at the clock. */
const LOOK_EVERY = 32;

/** Lets others at the event loop whenever it has been held for long enough. */
export class Slice {
  #since = performance.now();
  #steps = 0;

  /** After each of many short steps; undefined where nothing is to be waited for. */
  pause(): Promise<void> | undefined {
    return ++this.#steps % LOOK_EVERY === 0 ? this.look() : undefined;
  }

  /** After a step that takes long. */
  look(): Promise<void> | undefined {
    if (performance.now() - this.#since < SLICE_MS) return undefined;
    return turn().then(() => void (this.#since = performance.now()));
  }
}

/** Items that are sorted at once. */
const RUN = 1_024;

/** The items in order, those that are equal as they stood; never at work for more than a few milliseconds at a time. */
export async function sortInSlices<T>(items: readonly T[], compare: (a: T, b: T) => number): Promise<readonly T[]> {
  const slice = new Slice();
  let runs: (readonly T[])[] = [];
  for (let at = 0; at < items.length; at += RUN) {
    runs.push(items.slice(at, at + RUN).sort(compare));
    await slice.look();
  }
  while (runs.length > 1) {
    const merged: (readonly T[])[] = [];
    for (let at = 0; at < runs.length; at += 2)
      merged.push(await merge([runs[at] ?? [], runs[at + 1] ?? []], compare, slice));
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<T>(
  [left, right]: readonly [readonly T[], readonly T[]],
  compare: (a: T, b: T) => number,
  slice: Slice,
): Promise<readonly T[]> {
  if (right.length === 0) return left;
  const merged: T[] = [];
  let at = 0;
  for (const item of right) {
    for (let next = left[at]; at < left.length && next !== undefined && compare(next, item) <= 0; next = left[++at]) {
      merged.push(next);
      const pause = slice.pause();
      if (pause !== undefined) await pause;
    }
    merged.push(item);
    const pause = slice.pause();
    if (pause !== undefined) await pause;
  }
  return merged.concat(left.slice(at));
}

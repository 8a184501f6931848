import type { Clock } from '#std';

/** So often something is said on a stream that has nothing to say: gateways cut those that are silent. */
const BEAT_MS = 15_000;

export const beat = Symbol('beat');

/** What a source gives, and a beat wherever it has given nothing for a while. */
export async function* withBeats<T>(source: AsyncIterable<T>, clock: Clock): AsyncGenerator<T | typeof beat> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    for (;;) {
      const found = await Promise.race([next, silence(clock, next)]);
      if (found === beat) {
        yield beat;
        continue;
      }
      if (found.done === true) return;
      yield found.value;
      next = iterator.next();
    }
  } finally {
    await iterator.return?.();
  }
}

/** The timer goes with what it waits for. */
async function silence(clock: Clock, next: Promise<unknown>): Promise<typeof beat> {
  const over = new AbortController();
  const end = (): void => over.abort();
  next.then(end, end);
  await clock.sleep(BEAT_MS, over.signal).catch(() => undefined);
  return beat;
}

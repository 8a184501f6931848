import type { NumberedEvent } from '#protocol';
import type { Clock } from '#std';

const KEEP_ALIVE_MS = 15_000;
const beat = Symbol('beat');

/**
 * Events as text/event-stream: the id is the event's number, a comment now and then says that the stream lives.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function* eventStream(events: AsyncIterable<NumberedEvent>, clock: Clock): AsyncGenerator<string> {
  yield 'retry: 1000\n\n';
  const iterator = events[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    for (;;) {
      const found = await Promise.race([next, pause(clock, next)]);
      if (found === beat) {
        yield ': alive\n\n';
        continue;
      }
      if (found.done === true) return;
      const { seq, event } = found.value;
      yield `id: ${seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      next = iterator.next();
    }
  } finally {
    await iterator.return?.();
  }
}

/** `beat` when nothing has come for a while; the timer goes with what it waits for. */
async function pause(clock: Clock, next: Promise<unknown>): Promise<typeof beat> {
  const over = new AbortController();
  const end = (): void => over.abort();
  next.then(end, end);
  await clock.sleep(KEEP_ALIVE_MS, over.signal).catch(() => undefined);
  return beat;
}

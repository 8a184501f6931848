import type { NumberedEvent } from '#protocol';
import type { Clock } from '#std';
import { beat, withBeats } from '../http/beats.ts';

/**
 * Events as text/event-stream: the id is the event's number, a comment now and then says that the stream lives.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function* eventStream(events: AsyncIterable<NumberedEvent>, clock: Clock): AsyncGenerator<string> {
  yield 'retry: 1000\n\n';
  for await (const found of withBeats(events, clock)) {
    if (found === beat) yield ': alive\n\n';
    else yield `id: ${found.seq}\nevent: ${found.event.type}\ndata: ${JSON.stringify(found.event)}\n\n`;
  }
}

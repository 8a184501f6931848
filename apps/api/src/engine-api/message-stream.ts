import type { BuildEvent, NumberedEvent } from '#protocol';
import { type EngineMessage, problem } from './classic-output.ts';

/** What makes a docker client's messages of a build's events. */
export interface Telling {
  readonly isOver: boolean;
  see(event: BuildEvent): readonly EngineMessage[];
}

/**
 * The messages as a daemon sends them, to the first event after which there is nothing to say. An end before that is told as
 * an error: docker's client takes one without for success.
 */
export async function* messageStream(
  events: AsyncIterable<NumberedEvent>,
  telling: Telling,
  first: readonly EngineMessage[] = [],
): AsyncGenerator<string> {
  yield* first.map(line);
  for await (const { event } of events) {
    const messages = telling.see(event);
    if (messages.length > 0) yield messages.map(line).join('');
    if (telling.isOver) return;
  }
  yield line(problem('the farm stopped answering before the end of the build, which goes on without this client'));
}

const line = (message: EngineMessage): string => `${JSON.stringify(message)}\r\n`;

/** With `-q`: nothing but the image's id, or why there is none. */
export function quietly(telling: Telling): Telling {
  return {
    get isOver() {
      return telling.isOver;
    },
    see: (event) =>
      telling.see(event).flatMap((message): EngineMessage[] => {
        if ('error' in message) return [message];
        return 'aux' in message && message.aux['ID'] !== undefined ? [{ stream: `${message.aux['ID']}\n` }] : [];
      }),
  };
}

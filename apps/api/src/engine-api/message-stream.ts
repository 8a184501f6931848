import type { BuildEvent, NumberedEvent } from '#protocol';
import type { Clock } from '#std';
import { beat, withBeats } from '../http/beats.ts';
import type { LogPart } from './classic-logs.ts';
import { type EngineMessage, problem, type Told } from './classic-output.ts';

/** What makes a docker client's messages of a build's events. */
export interface Telling {
  readonly isOver: boolean;
  see(event: BuildEvent, seq: number): readonly Told[];
}

export interface MessageOptions {
  readonly clock: Clock;
  /** what stands before the build's own messages */
  readonly first?: readonly EngineMessage[];
  readonly readLog: (part: LogPart) => AsyncIterable<string>;
}

/** Between documents of JSON it is nothing; on the wire it is what brings the header, and what gateways see. */
const NOTHING = '\r\n';

/**
 * The messages as a daemon sends them, to the first event after which there is nothing to say. An end before that is told as
 * an error: docker's client takes one without for success.
 */
export async function* messageStream(
  events: AsyncIterable<NumberedEvent>,
  telling: Telling,
  { clock, first = [], readLog }: MessageOptions,
): AsyncGenerator<string> {
  yield NOTHING;
  yield* first.map(line);
  for await (const found of withBeats(events, clock)) {
    if (found === beat) {
      yield NOTHING;
      continue;
    }
    for (const told of telling.see(found.event, found.seq)) {
      if ('log' in told) for await (const stream of readLog(told.log)) yield line({ stream });
      else yield line(told);
    }
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
    see: (event, seq) =>
      telling.see(event, seq).flatMap((message): Told[] => {
        if ('error' in message) return [message];
        return 'aux' in message && message.aux['ID'] !== undefined ? [{ stream: `${message.aux['ID']}\n` }] : [];
      }),
  };
}

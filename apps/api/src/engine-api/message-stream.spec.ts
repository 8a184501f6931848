import type { NumberedEvent } from '#protocol';
import { systemClock } from '#std';
import { StepClock } from '#testing';
import { describe, expect, it } from 'vitest';
import { ClassicOutput } from './classic-output.ts';
import { messageStream, quietly } from './message-stream.ts';

async function* events(): AsyncGenerator<NumberedEvent> {
  yield { seq: 1, event: { type: 'planned', atMs: 0, vertices: [], instructions: [] } };
}

async function* readLog(): AsyncGenerator<string> {}

const output = (): ClassicOutput => new ClassicOutput({ buildId: 'b', tags: [], known: new Set() });

describe('the messages of a build', () => {
  it('end with an error where the events end before the build: docker takes an end without one for success', async () => {
    for (const through of [(each: ClassicOutput) => each, quietly]) {
      let last = '';
      for await (const line of messageStream(events(), through(output()), { clock: systemClock, readLog })) last = line;
      expect(last).toMatch(/"error":"[^"]*before the end/);
    }
  });

  it('begin before the build does, and go on while it is silent, with what is no message', async () => {
    const queued = async function* (): AsyncGenerator<NumberedEvent> {
      await new Promise(() => undefined);
    };
    const clock = new StepClock();
    const stream = messageStream(queued(), output(), { clock, first: [{ stream: 'first\n' }], readLog });
    const said: unknown[] = [];
    for (let at = 0; at < 4; at++) said.push((await stream.next()).value);
    expect(said).toEqual(['\r\n', '{"stream":"first\\n"}\r\n', '\r\n', '\r\n']);
    expect(Math.max(...clock.slept)).toBeLessThan(30_000);
  });
});

import type { NumberedEvent } from '#protocol';
import { describe, expect, it } from 'vitest';
import { ClassicOutput } from './classic-output.ts';
import { messageStream, quietly } from './message-stream.ts';

async function* events(): AsyncGenerator<NumberedEvent> {
  yield { seq: 1, event: { type: 'planned', atMs: 0, vertices: [], instructions: [] } };
}

describe('the messages of a build', () => {
  it('end with an error where the events end before the build: docker takes an end without one for success', async () => {
    for (const through of [(output: ClassicOutput) => output, quietly]) {
      const output = through(new ClassicOutput({ buildId: 'b', tags: [], known: new Set() }));
      let last = '';
      for await (const line of messageStream(events(), output)) last = line;
      expect(last).toMatch(/"error":"[^"]*before the end/);
    }
  });
});

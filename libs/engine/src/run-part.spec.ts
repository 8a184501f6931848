import type { ResultId } from '#cache';
import { DefinitionBuilder } from '#graph';
import { type Digest, parsePlatform } from '#oci';
import type { BuildEvent } from '#protocol';
import { describe, expect, it } from 'vitest';
import { delegatePart } from './run-part.ts';
import { SecretMask } from './secret-mask.ts';
import { StepLogs } from './step-logs.ts';

describe('a part on another builder', () => {
  const platform = parsePlatform('linux/arm64');
  const builder = new DefinitionBuilder();
  const label = { name: 'x', stage: '', line: 1, ignoreCache: false };
  const step = builder.add({ kind: 'mkdir', path: '/a', mode: 0o755 }, platform, [], label);
  const { vertex } = step;
  const part = {
    platform,
    definition: builder.finish(step),
    steps: new Set([vertex]),
    results: new Map<Digest, ResultId>(),
  };
  const clock = { nowMs: () => 5, sleep: () => Promise.resolve() };

  it('has its whole output in the build’s log, before the step’s end', async () => {
    const events: BuildEvent[] = [];
    const report = (event: BuildEvent): void => void events.push(event);
    const logs = new StepLogs(report, clock, new SecretMask([Buffer.from('secret value')]));
    const told: readonly BuildEvent[] = [
      { type: 'log', atMs: 1, vertex, stream: 1, text: 'no sec' },
      { type: 'vertexDone', atMs: 2, vertex, outcome: 'run', durationMs: 1 },
    ];
    const run = async (_part: unknown, onEvent: (event: BuildEvent) => void | Promise<void>): Promise<boolean> => {
      for (const event of told) await onEvent(event);
      return true;
    };
    const elsewhere = { builders: async () => [], run };
    await delegatePart(part, { elsewhere, logs, report, signal: new AbortController().signal });
    const text = events.map((event) => (event.type === 'log' ? event.text : ''));
    expect(text.join('')).toBe('no sec');
    expect(events.at(-1)?.type).toBe('vertexDone');
  });
});

import type { ResultId } from '#cache';
import { DefinitionBuilder } from '#graph';
import { type Digest, digestOf, parsePlatform } from '#oci';
import type { BuildEvent, BuildFailure, BuildResult } from '#protocol';
import { ResultLost, VertexFailure } from '#solver';
import { describe, expect, it } from 'vitest';
import type { Elsewhere, PartEvent } from './placement.ts';
import { delegatePart, PartFailure } from './run-part.ts';
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
    pins: { sources: [], selections: [] },
  };
  const clock = { nowMs: () => 5, sleep: () => Promise.resolve() };
  const result: BuildResult = {
    ...{ names: [], outputs: [], durationMs: 1, savedMs: 0 },
    steps: { total: 1, hit: 0, run: 1, joined: 0 },
    bytes: { contextSent: 0, pulled: 7, pushed: 0 },
  };

  async function delegated(run: Elsewhere['run']) {
    const seen = { told: [] as BuildEvent[], recalled: [] as BuildEvent[], lost: [] as Digest[], pulled: 0 };
    const logs = new StepLogs(() => undefined, clock);
    const delegating = {
      elsewhere: { builders: async () => [], run },
      logs,
      report: (event: BuildEvent) => void seen.told.push(event),
      recall: (event: BuildEvent) => void seen.recalled.push(event),
      onPulled: (bytes: number) => void (seen.pulled += bytes),
      onLost: (blobs: readonly Digest[]) => void seen.lost.push(...blobs),
      signal: new AbortController().signal,
    };
    const ran = await delegatePart(part, delegating).catch((thrown: unknown) => thrown);
    return { ...seen, ran, tail: logs.tail(vertex) };
  }

  const log = (text: string, more: Pick<PartEvent, 'known'> & { seq: number }): PartEvent => ({
    event: { type: 'log', atMs: 1, vertex, stream: 1, text },
    from: { part: 'p', seq: more.seq },
    known: more.known,
  });

  it('tells what is new once, with where it is from; what an earlier attempt told counts all the same', async () => {
    const done = { type: 'vertexDone', atMs: 2, vertex, outcome: 'run', durationMs: 1 } as const;
    const { told, recalled, ran, pulled, tail } = await delegated(async (_part, onEvent) => {
      await onEvent({
        event: { type: 'started', atMs: 1, builderId: 'b', attempt: 1 },
        from: { part: 'p', seq: 1 },
        known: true,
      });
      await onEvent(log('one\n', { seq: 2, known: true }));
      await onEvent(log('two\n', { seq: 3, known: false }));
      await onEvent({ event: done, from: { part: 'p', seq: 4 }, known: false });
      return result;
    });
    expect(told).toEqual([
      { type: 'log', atMs: 1, vertex, stream: 1, text: 'two\n', from: { part: 'p', seq: 3 } },
      { ...done, from: { part: 'p', seq: 4 } },
    ]);
    expect(recalled.map(({ type }) => type)).toEqual(['log']);
    expect([ran, pulled, tail]).toEqual([true, 7, ['one', 'two']]);
  });

  it('runs nowhere when nobody is left', async () => {
    expect((await delegated(async () => undefined)).ran).toBe(false);
  });

  it('fails as its step does, and says what is lost where something is', async () => {
    const fail = (failure: BuildFailure) => delegated(() => Promise.reject(new PartFailure(failure)));
    const failed = await fail({ code: 'STEP_FAILED', message: 'no', vertex, exitCode: 3 });
    expect(failed.ran).toBeInstanceOf(VertexFailure);
    expect(failed.ran).toMatchObject({ vertex: { digest: vertex }, cause: { exitCode: 3 } });
    const gone = await fail({
      code: 'BLOB_MISSING',
      message: 'gone',
      vertex,
      repair: { lost: [digestOf('x')], pulled: 5 },
    });
    expect([gone.ran, gone.lost, gone.pulled]).toEqual([expect.any(ResultLost), [digestOf('x')], 5]);
    expect((await fail({ code: 'DISK_FULL', message: 'full' })).ran).toMatchObject({ code: 'DISK_FULL' });
  });
});

import type { BuildResult } from '#protocol';
import { VertexFailure } from '#solver';
import { KilnError, systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import { writeBack } from './write-back.ts';

describe('writeBack', () => {
  const result: BuildResult = {
    names: [],
    steps: { total: 1, hit: 0, run: 1, joined: 0 },
    bytes: { contextSent: 0, pulled: 0, pushed: 0 },
    durationMs: 1,
    savedMs: 0,
    outputs: [],
  };

  function writing(settled: () => Promise<void>) {
    const said: string[] = [];
    const stop = new AbortController();
    const ended = writeBack(
      { settled },
      {
        job: { signal: stop.signal, deliver: async () => void said.push('delivered') },
        clock: systemClock,
        result,
        afterwards: async () => void said.push('afterwards'),
        warn: (message) => void said.push(message),
      },
    );
    return { said, stop, ended };
  }

  it('says nothing beforehand where all is stored in a moment', async () => {
    const { said, ended } = writing(() => Promise.resolve());
    await ended;
    expect(said).toEqual(['afterwards']);
  });

  it('gives the answer first where it takes longer', async () => {
    const stored = Promise.withResolvers<void>();
    const { said, ended } = writing(() => stored.promise);
    while (said.length === 0) await systemClock.sleep(1);
    expect(said).toEqual(['delivered']);
    stored.resolve();
    await ended;
    expect(said).toEqual(['delivered', 'afterwards']);
  });

  it('warns of what could not be stored, and fails nothing', async () => {
    const { said, ended } = writing(() => Promise.reject(new KilnError('UPSTREAM_UNAVAILABLE', 'away')));
    await ended;
    expect(said).toEqual([expect.stringContaining('away')]);
  });

  it('ends with a build that was taken over or stopped', async () => {
    const fenced = new KilnError('FENCED', 'gone');
    const label = { name: 'a', stage: '', line: 1, ignoreCache: false };
    const vertex = {
      digest: 'sha256:a',
      op: { kind: 'scratch' },
      inputs: [],
      label,
    } as unknown as VertexFailure['vertex'];
    await expect(writing(() => Promise.reject(new VertexFailure(vertex, fenced))).ended).rejects.toBe(fenced);
    const { ended, stop } = writing(() => systemClock.sleep(150).then(() => Promise.reject(new Error('late'))));
    stop.abort(new Error('stopped'));
    await expect(ended).rejects.toThrow('stopped');
  });
});

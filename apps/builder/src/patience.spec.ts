import { KilnError, silentLogger } from '#std';
import { describe, expect, it } from 'vitest';
import { patience } from './patience.ts';

function waiting(stop = new AbortController()) {
  let nowMs = 0;
  const pauses: number[] = [];
  const clock = {
    nowMs: () => nowMs,
    sleep: (ms: number, signal?: AbortSignal) => {
      signal?.throwIfAborted();
      nowMs += ms;
      pauses.push(ms);
      return Promise.resolve();
    },
  };
  return { wait: patience({ clock, logger: silentLogger, signal: stop.signal }), pauses, clock, stop };
}

const away = () => Promise.reject(new KilnError('UNAVAILABLE', 'the database is away'));

describe('patience', () => {
  it('tries again with growing pauses until the database is back', async () => {
    const { wait, pauses } = waiting();
    let left = 7;
    expect(await wait(() => (--left > 0 ? away() : Promise.resolve('back')))).toBe('back');
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 2000]);
  });

  it('gives up after a quarter of an hour', async () => {
    const { wait, clock } = waiting();
    await expect(wait(away)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(clock.nowMs()).toBeGreaterThanOrEqual(15 * 60_000);
  });

  it('tries nothing else twice', async () => {
    const { wait, pauses } = waiting();
    await expect(wait(() => Promise.reject(new KilnError('FENCED', 'gone')))).rejects.toMatchObject({ code: 'FENCED' });
    expect(pauses).toEqual([]);
  });

  it('ends with its build', async () => {
    const stop = new AbortController();
    const { wait } = waiting(stop);
    stop.abort(new Error('cancelled'));
    await expect(wait(away)).rejects.toThrow('cancelled');
  });
});

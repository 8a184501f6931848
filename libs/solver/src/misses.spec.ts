import type { KeyAnswer, KeyBook } from '#cache';
import { type Clock, systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import type { Explaining } from './misses.ts';
import { chain, memoryCache, solveAll, TextRunner } from './solved.fixture.ts';

/** How often a build paused for a time, which passes at once. */
function hastyClock(): Clock & { pauses: number } {
  return {
    pauses: 0,
    nowMs: () => systemClock.nowMs(),
    sleep(_ms, signal) {
      this.pauses++;
      return systemClock.sleep(0, signal);
    },
  };
}

const nothing: KeyAnswer = { past: undefined, ends: new Map() };

async function explained(book: Partial<KeyBook>, more: Partial<Explaining> = {}, clock: Clock = systemClock) {
  const failures: string[] = [];
  const events: { readonly type: string; readonly miss?: string | undefined }[] = [];
  const explaining: Explaining = {
    book: { keep: () => {}, ask: async () => nothing, ...book },
    mask: (text) => text,
    fileChanges: async () => undefined,
    keepSelections: async () => {},
    onFailure: (what) => failures.push(what),
    ...more,
  };
  const [definition, cache, runner] = [chain(['a', 'b']), memoryCache(), new TextRunner()];
  const signal = new AbortController().signal;
  const report = (event: (typeof events)[number]): void => void events.push(event);
  const options = { definition, runner, cache, clock, report, parallelism: 4, explaining, signal };
  await solveAll(options);
  const told = events.flatMap(({ type, miss }) => (type === 'vertexStarted' ? [miss] : []));
  // After its base.
  return { failures, told: told.slice(1), again: () => solveAll(options), ran: runner.ran };
}

describe('explaining', () => {
  it('tells why a step runs when it begins', async () => {
    expect((await explained({})).told).toEqual(['never built before', 'never built before']);
  });

  it('asks nothing where nothing is missed', async () => {
    let [asked, kept] = [0, 0];
    const { again } = await explained({
      keep: () => void kept++,
      ask: async () => {
        asked++;
        return nothing;
      },
    });
    await again();
    expect([asked, kept]).toEqual([1, 2]);
  });

  it('fails no build', async () => {
    const { failures, ran, told } = await explained(
      { ask: () => Promise.reject(new Error('away')) },
      { keepSelections: () => Promise.reject(new Error('full')) },
    );
    expect(ran).toEqual(['a', 'b']);
    expect(told).toEqual([expect.stringContaining('cannot be told'), expect.stringContaining('cannot be told')]);
    expect(new Set(failures)).toEqual(new Set(['misses cannot be explained', 'what a step takes could not be kept']));
  });

  it('holds a build up once, and not for long', async () => {
    const clock = hastyClock();
    const { ran, told } = await explained({ ask: () => new Promise(() => {}) }, {}, clock);
    expect(ran).toEqual(['a', 'b']);
    expect(told).toEqual([undefined, undefined]);
    expect(clock.pauses).toBe(1);
  });
});

import type { QueuedBuild } from '#protocol';
import { type Clock, KilnError, silentLogger } from '#std';
import { describe, expect, it } from 'vitest';
import { Reconciler } from './reconciler.ts';

/** Time moves only by sleeping; stops the loop after `ticks`. */
class FakeClock implements Clock {
  now = 1_000_000;
  readonly sleeps: number[] = [];
  nowMs(): number {
    return this.now;
  }
  async sleep(ms: number): Promise<void> {
    this.sleeps.push(ms);
    this.now += ms;
  }
}

const job = (buildId: string, attempt = 1): QueuedBuild => ({ buildId, attempt, turn: 0 });

function farm() {
  const clock = new FakeClock();
  const state = { waiting: [] as QueuedBuild[], lost: [] as QueuedBuild[], database: true, redis: true, looks: 0 };
  const queued: QueuedBuild[] = [];
  const down = (): never => {
    throw new KilnError('UNAVAILABLE', 'down');
  };
  const reconciler = new Reconciler({
    clock,
    logger: silentLogger,
    ledger: {
      async queuedOlderThan() {
        return state.database ? state.waiting : down();
      },
      async expired() {
        state.looks++;
        return state.database ? state.lost.splice(0) : down();
      },
    },
    queue: { add: async (jobs) => void (state.redis ? queued.push(...jobs) : down()) },
  });
  return { clock, state, queued, reconciler };
}

describe('Reconciler', () => {
  it('queues what waits and what was lost', async () => {
    const { state, queued, reconciler } = farm();
    state.waiting = [job('a')];
    state.lost = [job('b', 2)];
    await reconciler.tick();
    expect(queued).toEqual([job('b', 2), job('a')]);
  });

  it('goes on after outages, with growing pauses that are bounded', async () => {
    const { clock, state, queued, reconciler } = farm();
    state.waiting = [job('a')];
    state.redis = false;
    const stop = new AbortController();
    const sleep = clock.sleep.bind(clock);
    clock.sleep = async (ms) => {
      await sleep(ms);
      if (clock.sleeps.length === 4) state.redis = true;
      if (clock.sleeps.length === 5) stop.abort();
    };
    await reconciler.run(stop.signal);
    expect(clock.sleeps).toEqual([4_000, 5_000, 5_000, 5_000, 2_000]);
    expect(queued).toEqual([job('a')]);
  });

  it('takes nothing from builders that may not have been able to say that they live', async () => {
    const { clock, state, reconciler } = farm();
    await reconciler.tick();
    expect(state.looks).toBe(1);
    clock.now += 60_000;
    await reconciler.tick();
    clock.now += 5_000;
    await reconciler.tick();
    expect(state.looks).toBe(1);
    clock.now += 5_000;
    await reconciler.tick();
    expect(state.looks).toBe(2);
  });
});

import { describe, expect, it } from 'vitest';
import { retry } from './backoff.ts';
import type { Clock } from './clock.ts';

const sleepless = (): { clock: Clock; slept: number[] } => {
  const slept: number[] = [];
  return { slept, clock: { nowMs: () => 0, sleep: async (ms) => void slept.push(ms) } };
};

describe('retry', () => {
  it('doubles its pauses up to the longest and returns the first success', async () => {
    const { clock, slept } = sleepless();
    const options = { attempts: 5, firstDelayMs: 100, maxDelayMs: 250, clock, retryable: () => true };
    const value = await retry(options, async (attempt) => {
      if (attempt < 4) throw new Error('not yet');
      return attempt;
    });
    expect(value).toBe(4);
    expect(slept).toEqual([100, 200, 250]);
  });

  it('gives up after its attempts, and at once on what cannot be retried', async () => {
    const { clock, slept } = sleepless();
    const fail = async (): Promise<never> => Promise.reject(new Error('no'));
    const options = { attempts: 3, firstDelayMs: 1, maxDelayMs: 1, clock };
    await expect(retry({ ...options, retryable: () => true }, fail)).rejects.toThrow('no');
    expect(slept).toHaveLength(2);
    await expect(retry({ ...options, retryable: () => false }, fail)).rejects.toThrow('no');
    expect(slept).toHaveLength(2);
  });
});

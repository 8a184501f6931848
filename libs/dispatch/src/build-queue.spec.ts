import { isKilnError, systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import { bullQueue, jobId, jobOptions } from './build-queue.ts';

const quick = { ...systemClock, sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(20, signal) };
const job = { buildId: 'b1', attempt: 2 };

describe('the build queue', () => {
  it('names a job by build and attempt, without colons', () => {
    expect(jobId(job)).toBe('b1.2');
    expect(jobOptions(job)).toMatchObject({ jobId: 'b1.2', attempts: 1, removeOnComplete: true, removeOnFail: true });
  });

  it('says UNAVAILABLE when nobody answers, and when the queue fails', async () => {
    const silent = bullQueue({ addBulk: () => new Promise(() => {}) }, quick);
    await expect(silent.add([job])).rejects.toSatisfy((thrown) => isKilnError(thrown, 'UNAVAILABLE'));
    const broken = bullQueue({ addBulk: () => Promise.reject(new Error('closed')) }, quick);
    await expect(broken.add([job])).rejects.toSatisfy((thrown) => isKilnError(thrown, 'UNAVAILABLE'));
  });

  it('asks nothing for no jobs', async () => {
    await bullQueue({ addBulk: () => Promise.reject(new Error('asked')) }, quick).add([]);
  });
});

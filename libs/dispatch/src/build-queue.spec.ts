import type { QueuedBuild } from '#protocol';
import { isKilnError, systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import { bullQueue, jobId, jobOptions } from './build-queue.ts';
import { routedQueue } from './part-queues.ts';

const quick = { ...systemClock, sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(20, signal) };
const job = { buildId: 'b1', attempt: 2, turn: 0 };

describe('the build queue', () => {
  it('names a job by build and attempt, without colons', () => {
    expect(jobId(job)).toBe('b1.2');
    expect(jobOptions(job)).toMatchObject({ jobId: 'b1.2', attempts: 1, removeOnComplete: true, removeOnFail: true });
  });

  it('gives a priority for each turn, in the same order and never out of range', () => {
    const priorityOf = (turn: number): number | undefined => jobOptions({ ...job, turn }).priority;
    expect([0, 1, 7, 2 ** 21 - 1].map(priorityOf)).toEqual([1, 2, 8, 2 ** 21]);
    expect(priorityOf(2 ** 21)).toBe(1);
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

describe('the routed queue', () => {
  it('gives builds to whoever is free and parts to who is fit, in their order', async () => {
    const [builds, parts]: [QueuedBuild[], QueuedBuild[]] = [[], []];
    const into = (list: QueuedBuild[]) => ({ add: async (all: readonly QueuedBuild[]) => void list.push(...all) });
    const part = { ...job, buildId: 'p', platform: 'linux/arm64' };
    await routedQueue(into(builds), into(parts)).add([job, part, { ...job, buildId: 'b2' }]);
    expect(builds.map(({ buildId }) => buildId)).toEqual(['b1', 'b2']);
    expect(parts).toEqual([part]);
  });
});

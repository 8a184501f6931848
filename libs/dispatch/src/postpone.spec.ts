import { systemClock } from '#std';
import { DelayedError } from 'bullmq';
import { describe, expect, it } from 'vitest';
import { type HeldJob, postpone } from './postpone.ts';

const clock = { ...systemClock, nowMs: () => 1_000 };

function heldJob(attemptsStarted: number): { readonly job: HeldJob; readonly moved: unknown[] } {
  const moved: unknown[] = [];
  const moveToDelayed = (...args: readonly unknown[]): Promise<void> => Promise.resolve(void moved.push(args));
  return { job: { data: {}, attemptsStarted, moveToDelayed }, moved };
}

describe('postponing a job', () => {
  it('gives it back for a moment, under the worker’s own token', async () => {
    const { job, moved } = heldJob(1);
    await expect(postpone(job, 'token', clock)).rejects.toBeInstanceOf(DelayedError);
    expect(moved).toEqual([[1_020, 'token']]);
  });

  it('is over after a while: then whoever holds it keeps it', async () => {
    const { job, moved } = heldJob(11);
    await postpone(job, 'token', clock);
    expect(moved).toEqual([]);
  });
});

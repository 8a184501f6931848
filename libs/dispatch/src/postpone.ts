import { DelayedError, type Job } from 'bullmq';
import type { Clock } from '#std';

/** A job in the hands of a worker. */
export type HeldJob = Pick<Job<unknown>, 'data' | 'attemptsStarted' | 'moveToDelayed'>;

/** Long enough for a builder that waits to be served first. */
const POSTPONE_MS = 20;
const POSTPONEMENTS_MAX = 10;

/**
 * Puts a job back for another worker to take, a few times at most: after that, whoever holds it keeps it.
 * @throws DelayedError for the worker to see that the job is no longer its own
 */
export async function postpone(job: HeldJob, token: string | undefined, clock: Clock): Promise<void> {
  if (job.attemptsStarted <= POSTPONEMENTS_MAX) await putBack(job, token, clock);
}

/**
 * Puts a job back for another worker to take, by one that takes no more itself.
 * @throws DelayedError for the worker to see that the job is no longer its own
 */
export async function putBack(job: HeldJob, token: string | undefined, clock: Clock): Promise<never> {
  await job.moveToDelayed(clock.nowMs() + POSTPONE_MS, token);
  throw new DelayedError();
}

import type { QueueOptions, WorkerOptions } from 'bullmq';

const RECONNECT_MAX_MS = 1_000;
const retryStrategy = (times: number): number => Math.min(times * 50, RECONNECT_MAX_MS);

/** For who adds jobs: fails at once while Redis is away, so that no request waits for it. */
export function producerOptions(redisUrl: string): QueueOptions {
  return { connection: { url: redisUrl, enableOfflineQueue: false, maxRetriesPerRequest: 1, retryStrategy } };
}

const LOCK_MS = 8_000;
const STALLED_CHECK_MS = 4_000;

/**
 * For who takes jobs: waits for Redis for ever. A worker that dies before it has claimed its build gives the job back within
 * 12 s; however often that happens, the queue never fails a build.
 * @param name as {@link workerName} gives it
 */
export function workerOptions(redisUrl: string, concurrency: number, name: string): WorkerOptions {
  return {
    name,
    connection: { url: redisUrl, maxRetriesPerRequest: null, retryStrategy },
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: Number.MAX_SAFE_INTEGER,
  };
}

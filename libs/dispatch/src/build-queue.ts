import type { JobsOptions, Queue } from 'bullmq';
import type { BuildJob } from '#protocol';
import { type Clock, KilnError } from '#std';

export const BUILD_QUEUE = 'kiln-builds';
const JOB_NAME = 'build';
const ANSWER_TIMEOUT_MS = 2_000;

/** One id for one attempt: adding a job that is there already does nothing. BullMQ forbids colons. */
export function jobId({ buildId, attempt }: BuildJob): string {
  return `${buildId}.${attempt}`;
}

/** Nothing is kept and nothing is tried again by the queue: attempts are counted in Postgres. */
export function jobOptions(job: BuildJob): JobsOptions {
  return { jobId: jobId(job), attempts: 1, removeOnComplete: true, removeOnFail: true };
}

/** The way to the builders. It may lose what it is given; the {@link Reconciler} gives it again. */
export interface BuildQueue {
  /** Harmless for jobs that are there. @throws KilnError UNAVAILABLE */
  add(jobs: readonly BuildJob[]): Promise<void>;
}

export async function enqueue(queue: BuildQueue, job: BuildJob): Promise<void> {
  await queue.add([job]);
}

/** A BullMQ queue as a {@link BuildQueue}: answers within 2 s, whatever state Redis is in. */
export function bullQueue(queue: Pick<Queue, 'addBulk'>, clock: Clock): BuildQueue {
  return {
    async add(jobs) {
      if (jobs.length === 0) return;
      const answered = new AbortController();
      const adding = queue
        .addBulk(jobs.map((job) => ({ name: JOB_NAME, data: { ...job }, opts: jobOptions(job) })))
        .then(() => 'added' as const);
      // What is still under way after the timeout may succeed later, which is harmless, or fail unheard.
      adding.catch(() => undefined);
      const timeout = clock.sleep(ANSWER_TIMEOUT_MS, answered.signal).then(
        () => 'late' as const,
        () => 'added' as const,
      );
      try {
        if ((await Promise.race([adding, timeout])) === 'added') return;
      } catch (cause) {
        throw new KilnError('UNAVAILABLE', 'the queue cannot be reached', { cause });
      } finally {
        answered.abort();
      }
      throw new KilnError('UNAVAILABLE', `the queue did not answer within ${ANSWER_TIMEOUT_MS} ms`);
    },
  };
}

import type { JobsOptions, Queue } from 'bullmq';
import type { BuildJob, QueuedBuild } from '#protocol';
import { type Clock, KilnError } from '#std';

export const BUILD_QUEUE = 'kiln-builds';
const JOB_NAME = 'build';
const ANSWER_TIMEOUT_MS = 2_000;
/** The highest that BullMQ takes; there turns begin anew, which is unfair for a moment once in two million builds. */
const PRIORITY_MAX = 2 ** 21;

/** One id for one attempt: adding a job that is there already does nothing. BullMQ forbids colons. */
export function jobId({ buildId, attempt }: BuildJob): string {
  return `${buildId}.${attempt}`;
}

/** Nothing is kept and nothing is tried again by the queue: attempts are counted in Postgres. */
export function jobOptions(build: QueuedBuild): JobsOptions {
  // 0 would be none at all, which goes before every other.
  const priority = 1 + (build.turn % PRIORITY_MAX);
  return { jobId: jobId(build), priority, attempts: 1, removeOnComplete: true, removeOnFail: true };
}

/** The way to the builders. It may lose what it is given; the {@link Reconciler} gives it again. */
export interface BuildQueue {
  /** Harmless for jobs that are there. @throws KilnError UNAVAILABLE */
  add(builds: readonly QueuedBuild[]): Promise<void>;
}

export async function enqueue(queue: BuildQueue, build: QueuedBuild): Promise<void> {
  await queue.add([build]);
}

const jobOf = ({ buildId, attempt }: QueuedBuild): BuildJob => ({ buildId, attempt });

/** A BullMQ queue as a {@link BuildQueue}: answers within 2 s, whatever state Redis is in. */
export function bullQueue(queue: Pick<Queue, 'addBulk'>, clock: Clock): BuildQueue {
  return {
    async add(builds) {
      if (builds.length === 0) return;
      const answered = new AbortController();
      const adding = queue
        .addBulk(builds.map((build) => ({ name: JOB_NAME, data: jobOf(build), opts: jobOptions(build) })))
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

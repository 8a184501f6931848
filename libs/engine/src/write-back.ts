import type { BuildResult } from '#protocol';
import { type Solved, VertexFailure } from '#solver';
import { type Clock, isKilnError, messageOf } from '#std';
import type { BuildJobInput } from './job.ts';

/** What is stored within this is not worth a word. */
const GRACE_MS = 100;

export interface WritingBack {
  readonly job: Pick<BuildJobInput, 'deliver' | 'signal'>;
  readonly clock: Clock;
  /** of the build: all that was asked for is out */
  readonly result: BuildResult;
  /** once all is stored */
  readonly afterwards: () => Promise<void>;
  readonly warn: (message: string) => void;
}

/**
 * Waits until what ran is in the cache; the build's answer goes out before, unless that is a matter of a moment. What cannot
 * be stored is not recorded, and costs its step's next run, not the build that made it.
 * @throws the signal's reason, KilnError FENCED
 */
export async function writeBack(solved: Pick<Solved<unknown>, 'settled'>, back: WritingBack): Promise<void> {
  const { job, clock, result, afterwards, warn } = back;
  const settled = solved.settled().then(afterwards);
  settled.catch(() => {});
  if (await lastsLonger(settled, clock)) await job.deliver(result);
  try {
    await settled;
  } catch (thrown) {
    job.signal.throwIfAborted();
    const { cause } = thrown instanceof VertexFailure ? thrown : { cause: thrown };
    if (isKilnError(cause, 'FENCED')) throw cause;
    warn(`what a step made could not be kept for the next build: ${messageOf(thrown)}`);
  }
}

async function lastsLonger(settled: Promise<void>, clock: Clock): Promise<boolean> {
  const stop = new AbortController();
  const late = clock.sleep(GRACE_MS, stop.signal).then(
    () => true,
    () => false,
  );
  const ended = settled.then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([ended, late]);
  } finally {
    stop.abort();
  }
}

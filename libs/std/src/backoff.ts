import type { Clock } from './clock.ts';

export interface RetryOptions {
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  readonly clock: Clock;
  readonly retryable: (thrown: unknown) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Runs `work` up to `attempts` times with doubling pauses; throws the last failure. */
export async function retry<T>(options: RetryOptions, work: (attempt: number) => Promise<T>): Promise<T> {
  let delayMs = options.firstDelayMs;
  for (let attempt = 1; ; attempt++) {
    options.signal?.throwIfAborted();
    try {
      return await work(attempt);
    } catch (thrown) {
      if (attempt >= options.attempts || !options.retryable(thrown)) throw thrown;
    }
    await options.clock.sleep(delayMs, options.signal);
    delayMs = Math.min(delayMs * 2, options.maxDelayMs);
  }
}

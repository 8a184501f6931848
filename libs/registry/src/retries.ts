import { type Clock, isKilnError, type Random } from '#std';
import { RegistryError } from './registry-error.ts';

/** A registry that asks for more than this is not waited for. */
const MAX_WAIT_MS = 30_000;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 8_000;

export interface Patience {
  readonly clock: Clock;
  readonly random: Random;
  readonly attempts: number;
  /** whether to knock again where nobody answered */
  readonly retryUnreachable: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Runs `work` again while it fails for a moment only, as often and as late as the registry allows. */
export async function withRetries<T>(patience: Patience, work: () => Promise<T>): Promise<T> {
  const { clock, random, attempts, retryUnreachable, signal } = patience;
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (thrown) {
      if (attempt >= attempts || !(thrown instanceof RegistryError) || !thrown.transient) throw thrown;
      if (isKilnError(thrown, 'REGISTRY_UNREACHABLE') && !retryUnreachable) throw thrown;
      await clock.sleep(waitMs(thrown, attempt, random), signal);
    }
  }
}

/**
 * How long to wait before the next attempt: as long as the registry asks for, or {@link pauseMs}.
 * @throws the failure itself when that is longer than anybody waits
 */
export function waitMs(failure: RegistryError, attempt: number, random: Random): number {
  const ms = failure.retryAfterMs ?? pauseMs(attempt, random);
  if (ms > MAX_WAIT_MS) throw failure;
  return ms;
}

/** Doubles from half a second; up to a half more, so that builders that failed together do not come back together. */
export function pauseMs(attempt: number, random: Random): number {
  const base = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), MAX_DELAY_MS);
  return Math.round(base * (1 + (random(1)[0] ?? 0) / 512));
}

/** Milliseconds that a Retry-After header asks for; undefined when there is none that can be read. */
export function parseRetryAfter(header: string | readonly string[] | undefined, nowMs: number): number | undefined {
  if (typeof header !== 'string') return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(at - nowMs, 0);
}

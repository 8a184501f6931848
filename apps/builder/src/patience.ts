import type { CacheStore } from '#cache';
import { type Clock, isKilnError, type Logger, messageOf } from '#std';

export interface PatienceOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** A database that is away for longer than this fails the build. */
const LIMIT_MS = 15 * 60_000;
const FIRST_MS = 100;
const MAX_MS = 2_000;

/** Waits for a database that is away, so that a build outlives its restart. */
export type Patience = <T>(work: () => Promise<T>) => Promise<T>;

/** @throws what `work` throws, UNAVAILABLE only after 15 minutes of it; the signal's reason when aborted while waiting */
export function patience({ clock, logger, signal }: PatienceOptions): Patience {
  return async (work) => {
    const untilMs = clock.nowMs() + LIMIT_MS;
    for (let pauseMs = FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_MS)) {
      try {
        return await work();
      } catch (thrown) {
        if (!isKilnError(thrown, 'UNAVAILABLE') || clock.nowMs() >= untilMs) throw thrown;
        logger.warn('waiting for the database', { error: messageOf(thrown) });
      }
      await clock.sleep(pauseMs, signal);
    }
  };
}

/**
 * A record index that waits for its database. All that it does may be done twice.
 * @param onLookup told of every question that is asked
 */
export function patientCacheStore(store: CacheStore, wait: Patience, onLookup: () => void): CacheStore {
  return {
    lookup: (keys, ops, signal) =>
      wait(() => {
        onLookup();
        return store.lookup(keys, ops, signal);
      }),
    reserve: (result, signal) => wait(() => store.reserve(result, signal)),
    save: (keys, result, confirmedAtMs, signal) => wait(() => store.save(keys, result, confirmedAtMs, signal)),
    forget: (blobs, signal) => wait(() => store.forget(blobs, signal)),
    findDeltas: (diffIds, signal) => wait(() => store.findDeltas(diffIds, signal)),
    saveDelta: (diffId, delta, signal) => wait(() => store.saveDelta(diffId, delta, signal)),
  };
}

import type { Result } from '#cache';
import { isKilnError, type Logger } from '#std';
import type { Sql } from './database.ts';
import type { RedisLink } from './redis.ts';
import { parseResult, readResults, type ResultPlace } from './result-row.ts';

const TTL_SECONDS = 24 * 3600;
const keyOf = ({ projectId, version }: ResultPlace): string => `result:${projectId}:${version}`;

/**
 * The bodies of results, from their hot copy in Redis where that has them. A version names one row that is never changed,
 * so a copy cannot be out of date, whatever happens to Redis; that a result still counts is for Postgres to say.
 */
export class ResultBodies {
  readonly #sql: Sql;
  readonly #redis: RedisLink;
  readonly #logger: Logger;

  constructor(sql: Sql, redis: RedisLink, logger: Logger) {
    this.#sql = sql;
    this.#redis = redis;
    this.#logger = logger;
  }

  /** By version; those that are nowhere any more are absent. */
  async read(places: readonly ResultPlace[]): Promise<ReadonlyMap<string, Result>> {
    const hot = await this.#hot(places);
    const missing = places.filter(({ version }) => !hot.has(version));
    const cold = await readResults(this.#sql, missing);
    await this.#warm(missing, cold);
    return new Map([...hot, ...cold]);
  }

  async #hot(places: readonly ResultPlace[]): Promise<ReadonlyMap<string, Result>> {
    const found = new Map<string, Result>();
    const texts = await this.#degrade([], () => this.#redis.getMany(places.map(keyOf)));
    for (const [index, { version }] of places.entries()) {
      const text = texts[index];
      if (text === undefined || text === null) continue;
      try {
        found.set(version, parseResult(text));
      } catch (error) {
        this.#logger.warn('a damaged copy of a cached result is passed over', { version, error });
      }
    }
    return found;
  }

  async #warm(places: readonly ResultPlace[], results: ReadonlyMap<string, Result>): Promise<void> {
    const entries = places.flatMap((place) => {
      const result = results.get(place.version);
      return result === undefined ? [] : [[keyOf(place), JSON.stringify(result)] as const];
    });
    await this.#degrade(undefined, () => this.#redis.setMany(new Map(entries), TTL_SECONDS));
  }

  /** Redis may be away: that costs a query, and a line in the log. */
  async #degrade<T>(otherwise: T, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (!isKilnError(thrown, 'UNAVAILABLE')) throw thrown;
      this.#logger.warn('the hot copy of the cache is not used', { error: thrown });
      return otherwise;
    }
  }
}

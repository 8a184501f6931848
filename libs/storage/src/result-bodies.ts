import type { Result } from '#cache';
import { isKilnError, type Logger } from '#std';
import type { Sql } from './database.ts';
import type { RedisLink } from './redis.ts';
import { parseResult, readResults } from './result-row.ts';

const TTL_SECONDS = 24 * 3600;
const keyOf = (projectId: string, version: string): string => `result:${projectId}:${version}`;

/**
 * The bodies of results, from their hot copy in Redis where that has them. A version names one row that is never changed,
 * so a copy cannot be out of date, whatever happens to Redis; that a result still counts is for Postgres to say.
 */
export class ResultBodies {
  readonly #sql: Sql;
  readonly #redis: RedisLink;
  readonly #projectId: string;
  readonly #logger: Logger;

  constructor(sql: Sql, redis: RedisLink, projectId: string, logger: Logger) {
    this.#sql = sql;
    this.#redis = redis;
    this.#projectId = projectId;
    this.#logger = logger;
  }

  /** By version; those that are nowhere any more are absent. */
  async read(versions: readonly string[]): Promise<ReadonlyMap<string, Result>> {
    const hot = await this.#hot(versions);
    const cold = await readResults(
      this.#sql,
      this.#projectId,
      versions.filter((version) => !hot.has(version)),
    );
    await this.#warm(cold);
    return new Map([...hot, ...cold]);
  }

  async #hot(versions: readonly string[]): Promise<ReadonlyMap<string, Result>> {
    const found = new Map<string, Result>();
    const texts = await this.#degrade([], () => this.#redis.getMany(versions.map((v) => keyOf(this.#projectId, v))));
    for (const [index, version] of versions.entries()) {
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

  async #warm(results: ReadonlyMap<string, Result>): Promise<void> {
    const entries = [...results].map(
      ([version, result]) => [keyOf(this.#projectId, version), JSON.stringify(result)] as const,
    );
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

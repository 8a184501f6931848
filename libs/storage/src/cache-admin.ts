import type {
  CacheDisowned,
  CacheDisownRequest,
  CacheGrowth,
  CacheGrowthQuery,
  CachePruned,
  CachePruneRequest,
  CacheUsage,
} from '#protocol';
import { KilnError } from '#std';
import { readGrowth } from './cache-growth.ts';
import { cacheUsage } from './cache-usage.ts';
import type { Database } from './database.ts';
import { disownResults } from './disown-results.ts';
import { pruneCache } from './prune-cache.ts';
import type { Actor } from './audit-log.ts';
import type { Principal } from './principal.ts';
import type { ProjectIds } from './project-store.ts';
import type { Counted } from './statistics-groups.ts';
import { rankOf } from './trust.ts';

/** What people ask of a project's cache. */
export class CacheAdmin {
  readonly #db: Database;
  readonly #projectBytes: number;

  constructor(db: Database, projectBytes: number) {
    this.#db = db;
    this.#projectBytes = projectBytes;
  }

  async usage(projectId: string): Promise<CacheUsage> {
    return await cacheUsage(this.#db, projectId, this.#projectBytes);
  }

  /** See {@link readGrowth}. */
  async growth(whose: Counted, query: CacheGrowthQuery): Promise<CacheGrowth> {
    return await readGrowth(this.#db, whose, { ...query, quotaBytes: this.#projectBytes });
  }

  /**
   * Of the whole project, whose branches read what would go.
   * @throws KilnError PERMISSION_DENIED to whom they do not trust
   */
  async prune(caller: Actor & Pick<Principal, 'scope' | 'trust'>, request: CachePruneRequest): Promise<CachePruned> {
    const { scope, trust } = caller;
    if (!request.dryRun && rankOf(trust) < rankOf('protected')) {
      throw new KilnError('PERMISSION_DENIED', `the scope ${scope} is not trusted to prune the cache of its project`, {
        hint: 'use a token of a protected scope, such as the default branch’s',
      });
    }
    return await pruneCache(this.#db, caller, request);
  }

  /** @throws KilnError NOT_FOUND when there is nothing to disown */
  async disown(caller: Actor & ProjectIds, request: CacheDisownRequest): Promise<CacheDisowned> {
    return await disownResults(this.#db, caller, request);
  }
}

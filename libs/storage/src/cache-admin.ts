import type { CachePruned, CachePruneRequest, CacheUsage } from '#protocol';
import { cacheUsage } from './cache-usage.ts';
import type { Database } from './database.ts';
import { pruneCache } from './prune-cache.ts';

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

  async prune(projectId: string, request: CachePruneRequest): Promise<CachePruned> {
    return await pruneCache(this.#db, projectId, request);
  }
}

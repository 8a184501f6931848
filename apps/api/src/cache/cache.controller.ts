import { Body, Controller, Get, HttpCode, Inject, Post } from '@nestjs/common';
import { CacheDisowned, CacheDisownRequest, CachePruned, CachePruneRequest, CacheUsage } from '#protocol';
import type { CacheAdmin, Principal } from '#storage';
import { Caller } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { CACHE } from '../tokens.ts';

/** The cache of the caller's project; no other is seen from here. */
@Controller('v1/cache')
export class CacheController {
  readonly #cache: CacheAdmin;

  constructor(@Inject(CACHE) cache: CacheAdmin) {
    this.#cache = cache;
  }

  @Described({ summary: 'what takes room in the cache', answer: CacheUsage })
  @Get('usage')
  async usage(@Caller() caller: Principal): Promise<CacheUsage> {
    return await this.#cache.usage(caller.projectId);
  }

  @Described({ summary: 'take the least valuable out of the cache', answer: CachePruned })
  @Post('prune')
  @HttpCode(200)
  async prune(
    @Caller() caller: Principal,
    @Body({ schema: CachePruneRequest }) request: CachePruneRequest,
  ): Promise<CachePruned> {
    return await this.#cache.prune(caller, request);
  }

  @Described({
    summary: 'take wrong results, and all that stands on them, out of the cache',
    answer: CacheDisowned,
    errors: ['NOT_FOUND', 'CONFLICT'],
  })
  @Post('disown')
  @HttpCode(200)
  async disown(
    @Caller() caller: Principal,
    @Body({ schema: CacheDisownRequest }) request: CacheDisownRequest,
  ): Promise<CacheDisowned> {
    return await this.#cache.disown(caller, request);
  }
}

import { Body, Controller, Get, HttpCode, Inject, Post } from '@nestjs/common';
import {
  type CacheDisowned,
  CacheDisownRequest,
  type CachePruned,
  CachePruneRequest,
  type CacheUsage,
} from '#protocol';
import type { CacheAdmin, Principal } from '#storage';
import { Caller } from '../http/auth.guard.ts';
import { CACHE } from '../tokens.ts';

/** The cache of the caller's project; no other is seen from here. */
@Controller('v1/cache')
export class CacheController {
  readonly #cache: CacheAdmin;

  constructor(@Inject(CACHE) cache: CacheAdmin) {
    this.#cache = cache;
  }

  @Get('usage')
  async usage(@Caller() caller: Principal): Promise<CacheUsage> {
    return await this.#cache.usage(caller.projectId);
  }

  @Post('prune')
  @HttpCode(200)
  async prune(
    @Caller() caller: Principal,
    @Body({ schema: CachePruneRequest }) request: CachePruneRequest,
  ): Promise<CachePruned> {
    return await this.#cache.prune(caller, request);
  }

  @Post('disown')
  @HttpCode(200)
  async disown(
    @Caller() caller: Principal,
    @Body({ schema: CacheDisownRequest }) request: CacheDisownRequest,
  ): Promise<CacheDisowned> {
    return await this.#cache.disown(caller, request);
  }
}

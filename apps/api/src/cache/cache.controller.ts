import { Body, Controller, Get, HttpCode, Inject, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  CacheDisowned,
  CacheDisownRequest,
  CacheGrowth,
  CacheGrowthQuery,
  CachePruned,
  CachePruneRequest,
  CacheUsage,
  ProjectQuery,
} from '#protocol';
import type { CacheAdmin, Principal, ReadableProjects } from '#storage';
import { Caller } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { CACHE, READABLE } from '../tokens.ts';

const GrowthQuery = CacheGrowthQuery.extend(ProjectQuery.shape);

/** The cache of the caller's project; of others who reads the team sees how much room they take. */
@Controller('v1/cache')
export class CacheController {
  readonly #cache: CacheAdmin;
  readonly #readable: ReadableProjects;

  constructor(@Inject(CACHE) cache: CacheAdmin, @Inject(READABLE) readable: ReadableProjects) {
    this.#cache = cache;
    this.#readable = readable;
  }

  @Described({ summary: 'what takes room in the cache', answer: CacheUsage, errors: ['NOT_FOUND'] })
  @Get('usage')
  async usage(
    @Caller() caller: Principal,
    @Query({ schema: ProjectQuery }) { project }: ProjectQuery,
  ): Promise<CacheUsage> {
    const { projectId } = await this.#readable.find(caller, project);
    return await this.#cache.usage(projectId);
  }

  @Described({
    summary: 'how large the cache was day by day, what was taken out of it, and what that cost later',
    answer: CacheGrowth,
    errors: ['NOT_FOUND'],
  })
  @Get('growth')
  async growth(
    @Caller() caller: Principal,
    @Query({ schema: GrowthQuery }) { project, ...query }: z.infer<typeof GrowthQuery>,
  ): Promise<CacheGrowth> {
    return await this.#cache.growth(await this.#readable.find(caller, project), query);
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

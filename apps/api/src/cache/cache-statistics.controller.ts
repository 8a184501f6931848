import { Controller, Get, Inject, Query } from '@nestjs/common';
import { CacheStatistics, CacheStatisticsQuery, DearMisses, DearMissesQuery } from '#protocol';
import type { Principal, StatisticsReader } from '#storage';
import { Caller } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { STATISTICS } from '../tokens.ts';

/** What the cache was good for, in the caller's project. */
@Controller('v1/cache')
export class CacheStatisticsController {
  readonly #statistics: StatisticsReader;

  constructor(@Inject(STATISTICS) statistics: StatisticsReader) {
    this.#statistics = statistics;
  }

  @Described({ summary: 'what the cache was good for', answer: CacheStatistics })
  @Get('statistics')
  async read(
    @Caller() caller: Principal,
    @Query({ schema: CacheStatisticsQuery }) query: CacheStatisticsQuery,
  ): Promise<CacheStatistics> {
    return await this.#statistics.read(caller, query);
  }

  @Described({ summary: 'which steps that ran cost most, why, and what to do about it', answer: DearMisses })
  @Get('misses')
  async misses(
    @Caller() caller: Principal,
    @Query({ schema: DearMissesQuery }) query: DearMissesQuery,
  ): Promise<DearMisses> {
    return await this.#statistics.dearMisses(caller, query);
  }
}

import { Controller, Get, Inject, Query } from '@nestjs/common';
import type { z } from 'zod';
import {
  CacheReruns,
  CacheRerunsQuery,
  CacheSeries,
  CacheSeriesQuery,
  CacheStatistics,
  CacheStatisticsQuery,
  DearMisses,
  DearMissesQuery,
  ProjectQuery,
  type StatisticsBy,
} from '#protocol';
import type { Principal, ReadableProjects, StatisticsReader } from '#storage';
import { Caller } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { READABLE, STATISTICS } from '../tokens.ts';

const StatisticsQuery = CacheStatisticsQuery.extend(ProjectQuery.shape);
const SeriesQuery = CacheSeriesQuery.extend(ProjectQuery.shape);
const RerunsQuery = CacheRerunsQuery.extend(ProjectQuery.shape);
const MissesQuery = DearMissesQuery.extend(ProjectQuery.shape);

/** What the cache was good for, in projects that the caller may read. */
@Controller('v1/cache')
export class CacheStatisticsController {
  readonly #statistics: StatisticsReader;
  readonly #readable: ReadableProjects;

  constructor(@Inject(STATISTICS) statistics: StatisticsReader, @Inject(READABLE) readable: ReadableProjects) {
    this.#statistics = statistics;
    this.#readable = readable;
  }

  @Described({ summary: 'what the cache was good for', answer: CacheStatistics, errors: ['NOT_FOUND'] })
  @Get('statistics')
  async read(
    @Caller() caller: Principal,
    @Query({ schema: StatisticsQuery }) { project, ...query }: z.infer<typeof StatisticsQuery>,
  ): Promise<CacheStatistics> {
    const one = await this.#readable.find(caller, project);
    return await this.#statistics.read(one, query, await this.#together(caller, query.by, project));
  }

  @Described({ summary: 'the same day by day, for some groups each', answer: CacheSeries, errors: ['NOT_FOUND'] })
  @Get('statistics/series')
  async series(
    @Caller() caller: Principal,
    @Query({ schema: SeriesQuery }) { project, ...query }: z.infer<typeof SeriesQuery>,
  ): Promise<CacheSeries> {
    const one = await this.#readable.find(caller, project);
    return await this.#statistics.series(one, query, await this.#together(caller, query.by, project));
  }

  @Described({
    summary: 'which steps that ran cost most, why, and what to do about it',
    answer: DearMisses,
    errors: ['NOT_FOUND'],
  })
  @Get('misses')
  async misses(
    @Caller() caller: Principal,
    @Query({ schema: MissesQuery }) { project, ...query }: z.infer<typeof MissesQuery>,
  ): Promise<DearMisses> {
    return await this.#statistics.dearMisses(await this.#readable.find(caller, project), query);
  }

  @Described({
    summary: 'which steps gave the same when they ran again on the same inputs',
    answer: CacheReruns,
    errors: ['NOT_FOUND'],
  })
  @Get('reruns')
  async reruns(
    @Caller() caller: Principal,
    @Query({ schema: RerunsQuery }) { project, ...query }: z.infer<typeof RerunsQuery>,
  ): Promise<CacheReruns> {
    return await this.#statistics.reruns(await this.#readable.find(caller, project), query);
  }

  /** By project all that the caller reads, unless one is named. */
  async #together(
    caller: Principal,
    by: StatisticsBy,
    project: string | undefined,
  ): Promise<readonly string[] | undefined> {
    return by === 'project' && project === undefined ? await this.#readable.all(caller) : undefined;
  }
}

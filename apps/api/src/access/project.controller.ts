import { Controller, Get, Inject, Param } from '@nestjs/common';
import { ProjectDetail } from '#protocol';
import { type Database, type Principal, readProject } from '#storage';
import { type ApiConfig, badgeUrl, sentLimitBytes } from '../config.ts';
import { Caller } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { CONFIG, DATABASE } from '../tokens.ts';

/** The caller's project. */
@Controller('v1/projects/:project')
export class ProjectController {
  readonly #db: Database;
  readonly #config: ApiConfig;

  constructor(@Inject(DATABASE) db: Database, @Inject(CONFIG) config: ApiConfig) {
    this.#db = db;
    this.#config = config;
  }

  @Described({
    summary: 'the token’s own project: whether its badge is shown, and its quotas with their use',
    answer: ProjectDetail,
    errors: ['NOT_FOUND'],
  })
  @Get()
  async get(@Caller() caller: Principal, @Param('project') name: string): Promise<ProjectDetail> {
    const { showsBadge, sentBytes, maxRunning, maxQueued, ...view } = await readProject(this.#db, caller, name);
    return {
      ...view,
      badge: { public: showsBadge, url: badgeUrl(this.#config, name) },
      quotas: { sentBytes, sentQuotaBytes: sentLimitBytes(this.#config) ?? null, maxRunning, maxQueued },
    };
  }
}

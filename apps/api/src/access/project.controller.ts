import { Body, Controller, Get, Inject, Param, Put, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { BadgeSetting, BadgeView, ProjectDetail } from '#protocol';
import { type Database, type Principal, readBadge, readProject, showBadge } from '#storage';
import { z } from 'zod';
import { Caller, Needs, Public } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { type ApiConfig, badgeUrl, sentLimitBytes } from '../config.ts';
import { CONFIG, DATABASE } from '../tokens.ts';
import { badgeSvg } from './badge-svg.ts';

const BadgeQuery = z.strictObject({ show: z.enum(['hits', 'build']).default('hits') });

/** The caller's project, and what of it everybody may see, once it says so. */
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

  @Described({
    summary: 'a picture of the project’s hit ratio, or of how its last build ended',
    detail: 'Of the last 30 days. Only where the project shows it: else there is none.',
    answer: { 'image/svg+xml': z.string() },
    errors: ['NOT_FOUND'],
  })
  @Public()
  @Get('badge.svg')
  async badge(
    @Param('project') project: string,
    @Query({ schema: BadgeQuery }) { show }: z.infer<typeof BadgeQuery>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const svg = badgeSvg(await readBadge(this.#db, project), show);
    await reply
      .header('cache-control', 'public, max-age=300')
      .header('content-security-policy', "default-src 'none'")
      .type('image/svg+xml')
      .send(svg);
  }

  @Described({ summary: 'show the project’s badge to everybody, or to nobody', answer: BadgeView })
  @Put('badge')
  @Needs('admin')
  async show(
    @Caller() caller: Principal,
    @Param('project') project: string,
    @Body({ schema: BadgeSetting }) setting: BadgeSetting,
  ): Promise<BadgeView> {
    await showBadge(this.#db, caller, project, setting.public);
    return { ...setting, url: badgeUrl(this.#config, project) };
  }
}

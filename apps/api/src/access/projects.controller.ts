import { Body, Controller, Get, Inject, Post, Query } from '@nestjs/common';
import { NamePageQuery, type ProjectList, ProjectRequest, type ProjectView } from '#protocol';
import type { Principal, TeamStore } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { TEAMS } from '../tokens.ts';

@Controller('v1/projects')
export class ProjectsController {
  readonly #teams: TeamStore;

  constructor(@Inject(TEAMS) teams: TeamStore) {
    this.#teams = teams;
  }

  @Get()
  async list(
    @Caller() caller: Principal,
    @Query({ schema: NamePageQuery }) query: NamePageQuery,
  ): Promise<ProjectList> {
    return await this.#teams.projects(caller, query);
  }

  @Post()
  @Needs('admin')
  async create(
    @Caller() caller: Principal,
    @Body({ schema: ProjectRequest }) request: ProjectRequest,
  ): Promise<ProjectView> {
    return await this.#teams.createProject(caller, request);
  }
}

import { Body, Controller, Get, Inject, Post, Query } from '@nestjs/common';
import { NamePageQuery, ProjectList, ProjectRequest, ProjectView } from '#protocol';
import type { Principal, TeamStore } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { TEAMS } from '../tokens.ts';

@Controller('v1/projects')
export class ProjectsController {
  readonly #teams: TeamStore;

  constructor(@Inject(TEAMS) teams: TeamStore) {
    this.#teams = teams;
  }

  @Described({ summary: 'the projects of the team', answer: ProjectList })
  @Get()
  async list(
    @Caller() caller: Principal,
    @Query({ schema: NamePageQuery }) query: NamePageQuery,
  ): Promise<ProjectList> {
    return await this.#teams.projects(caller, query);
  }

  @Described({ summary: 'a new project of the team', answer: ProjectView, errors: ['CONFLICT'] })
  @Post()
  @Needs('admin')
  async create(
    @Caller() caller: Principal,
    @Body({ schema: ProjectRequest }) request: ProjectRequest,
  ): Promise<ProjectView> {
    return await this.#teams.createProject(caller, request);
  }
}

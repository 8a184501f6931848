import { Body, Controller, Get, Inject, Post, Query } from '@nestjs/common';
import { NamePageQuery, ScopeList, ScopeRequest, ScopeView } from '#protocol';
import type { Principal, TeamStore } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { TEAMS } from '../tokens.ts';

/** Scopes of the caller's project. */
@Controller('v1/scopes')
export class ScopesController {
  readonly #teams: TeamStore;

  constructor(@Inject(TEAMS) teams: TeamStore) {
    this.#teams = teams;
  }

  @Described({ summary: 'the cache scopes of the project', answer: ScopeList })
  @Get()
  async list(@Caller() caller: Principal, @Query({ schema: NamePageQuery }) query: NamePageQuery): Promise<ScopeList> {
    return await this.#teams.scopes(caller, query);
  }

  @Described({ summary: 'a new cache scope', answer: ScopeView, errors: ['NOT_FOUND', 'CONFLICT'] })
  @Post()
  @Needs('admin')
  async create(@Caller() caller: Principal, @Body({ schema: ScopeRequest }) request: ScopeRequest): Promise<ScopeView> {
    return await this.#teams.createScope(caller, request);
  }
}

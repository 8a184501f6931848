import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Put, Query } from '@nestjs/common';
import { AccessName, MemberList, MemberRequest, MemberView, NamePageQuery } from '#protocol';
import type { Principal, TeamStore } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { TEAMS } from '../tokens.ts';

/** Members of the caller's team. */
@Controller('v1/members')
export class MembersController {
  readonly #teams: TeamStore;

  constructor(@Inject(TEAMS) teams: TeamStore) {
    this.#teams = teams;
  }

  @Described({ summary: 'the members of the team', answer: MemberList })
  @Get()
  async list(@Caller() caller: Principal, @Query({ schema: NamePageQuery }) query: NamePageQuery): Promise<MemberList> {
    return await this.#teams.members(caller, query);
  }

  @Described({ summary: 'a member, with a role', answer: MemberView, errors: ['CONFLICT'] })
  @Put(':name')
  @Needs('admin')
  async put(
    @Caller() caller: Principal,
    @Param('name', { schema: AccessName }) name: string,
    @Body({ schema: MemberRequest }) request: MemberRequest,
  ): Promise<MemberView> {
    return await this.#teams.putMember(caller, name, request);
  }

  @Described({ summary: 'take a member out of the team; its tokens end', answer: {}, errors: ['CONFLICT'] })
  @Delete(':name')
  @Needs('admin')
  @HttpCode(204)
  async remove(@Caller() caller: Principal, @Param('name') name: string): Promise<void> {
    await this.#teams.removeMember(caller, name);
  }
}

import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Put, Query } from '@nestjs/common';
import { AccessName, type MemberList, MemberRequest, type MemberView, NamePageQuery } from '#protocol';
import type { Principal, TeamStore } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { TEAMS } from '../tokens.ts';

/** Members of the caller's team. */
@Controller('v1/members')
export class MembersController {
  readonly #teams: TeamStore;

  constructor(@Inject(TEAMS) teams: TeamStore) {
    this.#teams = teams;
  }

  @Get()
  async list(@Caller() caller: Principal, @Query({ schema: NamePageQuery }) query: NamePageQuery): Promise<MemberList> {
    return await this.#teams.members(caller, query);
  }

  @Put(':name')
  @Needs('admin')
  async put(
    @Caller() caller: Principal,
    @Param('name', { schema: AccessName }) name: string,
    @Body({ schema: MemberRequest }) { role }: MemberRequest,
  ): Promise<MemberView> {
    return await this.#teams.putMember(caller, name, role);
  }

  @Delete(':name')
  @Needs('admin')
  @HttpCode(204)
  async remove(@Caller() caller: Principal, @Param('name') name: string): Promise<void> {
    await this.#teams.removeMember(caller, name);
  }
}

import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Put } from '@nestjs/common';
import { tryRule } from '#identity';
import { TrustRule, TrustRuleList, TrustRuleRequest, TrustRuleTried, TrustRuleTry } from '#protocol';
import type { Principal, TrustRuleStore } from '#storage';
import { Caller, Needs } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { TRUST_RULES } from '../tokens.ts';

/** Whose id tokens the caller's project takes. */
@Controller('v1/trust-rules')
@Needs('admin')
export class TrustRulesController {
  readonly #rules: TrustRuleStore;

  constructor(@Inject(TRUST_RULES) rules: TrustRuleStore) {
    this.#rules = rules;
  }

  @Described({ summary: 'whose id tokens the project takes', answer: TrustRuleList })
  @Get()
  async list(@Caller() caller: Principal): Promise<TrustRuleList> {
    return { rules: [...(await this.#rules.list(caller))] };
  }

  @Described({ summary: 'take id tokens of an issuer', answer: TrustRule, errors: ['NOT_FOUND'] })
  @Post()
  async create(
    @Caller() caller: Principal,
    @Body({ schema: TrustRuleRequest }) request: TrustRuleRequest,
  ): Promise<TrustRule> {
    return await this.#rules.create(caller, request);
  }

  @Described({
    summary: 'what a rule would give for an id token',
    detail: 'Of this rule alone, whether it is kept or not; nothing is changed.',
    answer: TrustRuleTried,
  })
  @Post('try')
  @HttpCode(200)
  try(@Body({ schema: TrustRuleTry }) { rule, claims }: TrustRuleTry): TrustRuleTried {
    return tryRule(rule, claims);
  }

  @Described({ summary: 'a trust rule', answer: TrustRule })
  @Get(':id')
  async get(@Caller() caller: Principal, @Param('id') id: string): Promise<TrustRule> {
    return await this.#rules.get(caller, id);
  }

  @Described({ summary: 'a trust rule, as it is to be from now on', answer: TrustRule })
  @Put(':id')
  async replace(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body({ schema: TrustRuleRequest }) request: TrustRuleRequest,
  ): Promise<TrustRule> {
    return await this.#rules.replace(caller, id, request);
  }

  @Described({ summary: 'remove a trust rule; tokens that it gave go on to their end', answer: {} })
  @Delete(':id')
  @HttpCode(204)
  async remove(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    await this.#rules.remove(caller, id);
  }
}

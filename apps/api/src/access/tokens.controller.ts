import { Body, Controller, Delete, Get, Header, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { CreatedToken, TokenList, TokenQuery, TokenRequest } from '#protocol';
import type { Principal, TokenLimits, TokenStore } from '#storage';
import { type ApiConfig, tokenLimits } from '../config.ts';
import { Caller, Needs } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { CONFIG, TOKENS } from '../tokens.ts';

/** What a token may do with others the store decides, by who holds it. */
@Controller('v1/tokens')
@Needs('read')
export class TokensController {
  readonly #tokens: TokenStore;
  readonly #limits: TokenLimits;

  constructor(@Inject(TOKENS) tokens: TokenStore, @Inject(CONFIG) config: ApiConfig) {
    this.#tokens = tokens;
    this.#limits = tokenLimits(config);
  }

  @Described({ summary: 'a new token; its secret is told this once', answer: CreatedToken, errors: ['NOT_FOUND'] })
  @Post()
  @Header('cache-control', 'no-store')
  async create(
    @Caller() caller: Principal,
    @Body({ schema: TokenRequest }) request: TokenRequest,
  ): Promise<CreatedToken> {
    return await this.#tokens.issue(caller, request, this.#limits);
  }

  @Described({ summary: 'the tokens of the project that the caller may see', answer: TokenList })
  @Get()
  async list(@Caller() caller: Principal, @Query({ schema: TokenQuery }) query: TokenQuery): Promise<TokenList> {
    return await this.#tokens.list(caller, query);
  }

  @Described({ summary: 'revoke a token', answer: {} })
  @Delete(':id')
  @HttpCode(204)
  async revoke(@Caller() caller: Principal, @Param('id') id: string): Promise<void> {
    await this.#tokens.revoke(caller, id);
  }
}

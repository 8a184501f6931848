import { Controller, Get, Header, Inject } from '@nestjs/common';
import { MeView } from '#protocol';
import type { Principal, TokenStore } from '#storage';
import { AnyToken, Caller } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { TOKENS } from '../tokens.ts';

/** Who asks, for whoever has a token. */
@Controller('v1/me')
export class MeController {
  readonly #tokens: TokenStore;

  constructor(@Inject(TOKENS) tokens: TokenStore) {
    this.#tokens = tokens;
  }

  @Described({ summary: 'what the caller’s token stands for, whatever it may do', answer: MeView })
  @Get()
  @AnyToken()
  @Header('cache-control', 'no-store')
  async me(@Caller() caller: Principal): Promise<MeView> {
    return await this.#tokens.me(caller);
  }
}

import { Body, Controller, Delete, Get, Header, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MeView, SignInCode, SignInRequest, SignInWays } from '#protocol';
import type { Clock } from '#std';
import type { BrowserSessions, Principal, TokenStore } from '#storage';
import { type ApiConfig, issuerName, publicUrl } from '../config.ts';
import { AnyToken, Caller, Public } from '../http/auth.guard.ts';
import {
  checkOrigin,
  checkOwnPage,
  checkWayIn,
  sessionCookie,
  sessionCookieOf,
  sessionOf,
} from '../http/session-cookie.ts';
import { Described } from '../openapi/described.ts';
import { BROWSER_SESSIONS, CLOCK, CONFIG, TOKENS } from '../tokens.ts';

/** Sessions of browsers: a cookie stands for a token, and the page never has it. */
@Controller('v1/session')
export class SignInController {
  readonly #sessions: BrowserSessions;
  readonly #tokens: TokenStore;
  readonly #config: ApiConfig;
  readonly #clock: Clock;

  constructor(
    @Inject(BROWSER_SESSIONS) sessions: BrowserSessions,
    @Inject(TOKENS) tokens: TokenStore,
    @Inject(CONFIG) config: ApiConfig,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.#sessions = sessions;
    this.#tokens = tokens;
    this.#config = config;
    this.#clock = clock;
  }

  @Described({
    summary: 'sign a browser in',
    detail:
      'For a token, or a code of POST /v1/session/codes, a cookie that stands for the token. What it changes needs the header X-Kiln-CSRF, and to come from the farm’s own pages. It ends after 7 days, with the token, or by DELETE.',
    answer: MeView,
    errors: ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'CONFLICT'],
  })
  @Post()
  @Public()
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async begin(
    @Body({ schema: SignInRequest }) asked: SignInRequest,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<MeView> {
    checkOrigin(this.#config, request);
    checkWayIn(this.#config);
    const caller = await ('token' in asked ? this.#tokens.verify(asked.token) : this.#sessions.redeem(asked.code));
    const begun = await this.#sessions.begin(caller);
    void reply.header('set-cookie', sessionCookieOf(this.#config, begun, this.#clock.nowMs()));
    return await this.#tokens.me(caller);
  }

  @Described({ summary: 'sign a browser out', answer: {}, errors: ['PERMISSION_DENIED'] })
  @Delete()
  @Public()
  @HttpCode(204)
  async end(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    const session = sessionOf(this.#config, request.headers.cookie);
    if (session === undefined) return;
    checkOwnPage(this.#config, request);
    await this.#sessions.end(session);
    void reply.header('set-cookie', sessionCookie(this.#config, '', 0));
  }

  @Described({ summary: 'how people sign in who have no token', answer: SignInWays })
  @Get('ways')
  @Public()
  ways(): SignInWays {
    const name = issuerName(this.#config);
    return { oidc: name === undefined ? null : { name } };
  }

  @Described({
    summary: 'a code that signs a browser in as the caller’s token',
    detail: 'Good once, for 5 minutes; url is the page that takes it.',
    answer: SignInCode,
  })
  @Post('codes')
  @AnyToken()
  @Header('cache-control', 'no-store')
  async code(@Caller() caller: Principal): Promise<SignInCode> {
    const { secret: code, expiresAt } = await this.#sessions.createCode(caller);
    return { code, url: `${publicUrl(this.#config)}/sign-in#code=${code}`, expiresAt: expiresAt.toISOString() };
  }
}

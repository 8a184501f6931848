import { Body, Controller, Get, Header, HttpCode, Inject, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MeView, NamePageQuery, ProjectList, SessionProject } from '#protocol';
import { type Clock, KilnError } from '#std';
import type { BrowserSessions, Principal, ProjectSwitch, TokenStore } from '#storage';
import type { ApiConfig } from '../config.ts';
import { AnyToken, Caller } from '../http/auth.guard.ts';
import { sessionCookieOf, sessionOf } from '../http/session-cookie.ts';
import { Described } from '../openapi/described.ts';
import * as tokens from '../tokens.ts';

/** In which project somebody works who signed in at the farm's issuer. */
@Controller('v1/session')
@AnyToken()
export class SessionProjectController {
  readonly #switch: ProjectSwitch;
  readonly #sessions: BrowserSessions;
  readonly #tokens: TokenStore;
  readonly #config: ApiConfig;
  readonly #clock: Clock;

  constructor(
    @Inject(tokens.PROJECT_SWITCH) projects: ProjectSwitch,
    @Inject(tokens.BROWSER_SESSIONS) sessions: BrowserSessions,
    @Inject(tokens.TOKENS) store: TokenStore,
    @Inject(tokens.CONFIG) config: ApiConfig,
    @Inject(tokens.CLOCK) clock: Clock,
  ) {
    this.#switch = projects;
    this.#sessions = sessions;
    this.#tokens = store;
    this.#config = config;
    this.#clock = clock;
  }

  @Described({
    summary: 'the projects that POST /v1/session/project takes',
    detail: 'Those of all teams that the person is in; none for who has a token.',
    answer: ProjectList,
  })
  @Get('projects')
  @Header('cache-control', 'no-store')
  async list(
    @Caller() caller: Principal,
    @Query({ schema: NamePageQuery }) query: NamePageQuery,
  ): Promise<ProjectList> {
    return await this.#switch.projects(caller, query);
  }

  @Described({
    summary: 'work in another project, without signing in anew',
    detail:
      'For the session of a person who signed in at the farm’s issuer, with what the person may in that project; a session that stands for a token stays in the token’s. Another cookie comes in the place of the one before, and ends when that would have.',
    answer: MeView,
    errors: ['NOT_FOUND', 'PERMISSION_DENIED', 'CONFLICT'],
  })
  @Post('project')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async move(
    @Caller() caller: Principal,
    @Body({ schema: SessionProject }) { project }: SessionProject,
    @Req() { headers }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<MeView> {
    // A bearer token comes before the cookie, which then nobody has looked at.
    const before = headers.authorization === undefined ? sessionOf(this.#config, headers.cookie) : undefined;
    if (before === undefined)
      throw new KilnError('CONFLICT', 'a token is of one project; only a browser’s session goes to another', {
        hint: 'use a token of the other project',
      });
    const moved = await this.#tokens.byId(await this.#switch.move(caller, project));
    const begun = await this.#sessions.begin(moved);
    await this.#sessions.end(before);
    void reply.header('set-cookie', sessionCookieOf(this.#config, begun, this.#clock.nowMs()));
    return await this.#tokens.me(moved);
  }
}

import { Controller, Get, Header, HttpCode, Inject, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SignInAttempt, SignInIssuer, Vouched } from '#identity';
import { ownPath, SignInAnswer, type SignInFailure, SignInStart, SignOutWay } from '#protocol';
import { type Clock, isKilnError, keyedDigest, KilnError, type Logger, messageOf } from '#std';
import { type BrowserSessions, FLOW_MS, type SignInFlows, type SignIns, type TokenStore } from '#storage';
import { type ApiConfig, issuerName, publicUrl } from '../config.ts';
import { Public } from '../http/auth.guard.ts';
import { checkWayIn, flowCookie, flowOf, sessionCookieOf } from '../http/session-cookie.ts';
import { Described } from '../openapi/described.ts';
import * as tokens from '../tokens.ts';

/** What came of somebody's way to the issuer and back. */
type Outcome = { readonly to: string; readonly tokenId: string } | { readonly failed: SignInFailure };

/** People who sign in at the farm's issuer, as members of a team. Browsers come here, no programs: failures are told by a page. */
@Controller('v1/session/oidc')
@Public()
export class OidcSignInController {
  readonly #issuer: SignInIssuer | undefined;
  readonly #flows: SignInFlows;
  readonly #signIns: SignIns;
  readonly #sessions: BrowserSessions;
  readonly #tokens: TokenStore;
  readonly #config: ApiConfig;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(
    @Inject(tokens.SIGN_IN_ISSUER) issuer: SignInIssuer | undefined,
    @Inject(tokens.SIGN_IN_FLOWS) flows: SignInFlows,
    @Inject(tokens.SIGN_INS) signIns: SignIns,
    @Inject(tokens.BROWSER_SESSIONS) sessions: BrowserSessions,
    @Inject(tokens.TOKENS) store: TokenStore,
    @Inject(tokens.CONFIG) config: ApiConfig,
    @Inject(tokens.CLOCK) clock: Clock,
    @Inject(tokens.LOGGER) logger: Logger,
  ) {
    this.#issuer = issuer;
    this.#flows = flows;
    this.#signIns = signIns;
    this.#sessions = sessions;
    this.#tokens = store;
    this.#config = config;
    this.#clock = clock;
    this.#logger = logger;
  }

  @Described({
    summary: 'send a browser to the farm’s issuer, to sign in there',
    detail:
      'By the authorization code flow with PKCE. `to` is the page that is shown in the end; a path of the dashboard.',
    answer: {},
    errors: ['NOT_FOUND', 'CONFLICT'],
  })
  @Get()
  @HttpCode(303)
  @Header('cache-control', 'no-store')
  async begin(@Query({ schema: SignInStart }) { to, project }: SignInStart, @Res() reply: FastifyReply): Promise<void> {
    const issuer = this.#known();
    checkWayIn(this.#config);
    const { state, browser } = this.#flows.begin({ to: ownPath(to), project: project ?? null });
    try {
      const { href } = await issuer.authorizationUrl(this.#attempt(state));
      await reply.header('set-cookie', flowCookie(this.#config, browser, FLOW_MS / 1_000)).redirect(href, 303);
    } catch (thrown) {
      await reply.redirect(pageOf(this.#failed(thrown)), 303);
    }
  }

  @Described({
    summary: 'where the issuer sends the browser back to',
    detail: 'Signs it in and shows the page that was wanted, or says on the page of signing in why not.',
    answer: {},
    errors: ['NOT_FOUND'],
  })
  @Get('callback')
  @HttpCode(303)
  @Header('cache-control', 'no-store')
  async end(
    @Query({ schema: SignInAnswer }) { state = '' }: SignInAnswer,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const outcome = await this.#outcome(this.#known(), { state, request });
    const cookies = [flowCookie(this.#config, '', 0)];
    if ('tokenId' in outcome) {
      const begun = await this.#sessions.begin(await this.#tokens.byId(outcome.tokenId));
      cookies.push(sessionCookieOf(this.#config, begun, this.#clock.nowMs()));
    }
    await reply.header('set-cookie', cookies).redirect(pageOf(outcome), 303);
  }

  @Described({
    summary: 'where a browser is signed out of the farm’s issuer, too',
    detail: 'To be shown to who has signed out here. The issuer sends the browser back to /sign-in.',
    answer: SignOutWay,
    errors: ['NOT_FOUND', 'UNAVAILABLE'],
  })
  @Get('end')
  async way(): Promise<SignOutWay> {
    const url = await this.#known().endSessionUrl();
    return { name: issuerName(this.#config) ?? '', url: url?.href ?? null };
  }

  async #outcome(
    issuer: SignInIssuer,
    { state, request }: { readonly state: string; readonly request: FastifyRequest },
  ): Promise<Outcome> {
    const browser = flowOf(this.#config, request.headers.cookie);
    const goal = browser === undefined ? undefined : await this.#flows.take({ state, browser });
    if (goal === undefined) return { failed: 'expired' };
    let vouched: Vouched;
    try {
      const { search } = new URL(request.url, publicUrl(this.#config));
      vouched = await issuer.vouched(new URLSearchParams(search), this.#attempt(state));
    } catch (thrown) {
      return this.#failed(thrown);
    }
    const entered = await this.#signIns.enter({ issuer: issuer.issuer, ...vouched }, goal.project);
    if ('tokenId' in entered) return { to: goal.to, tokenId: entered.tokenId };
    this.#logger.warn('somebody was not signed in', { why: entered.refused, subject: vouched.subject });
    return { failed: entered.refused };
  }

  /** What the issuer, or its answer, is at fault for. */
  #failed(thrown: unknown): { readonly failed: SignInFailure } {
    if (!isKilnError(thrown, 'UNAUTHENTICATED', 'UNAVAILABLE')) throw thrown;
    const cause = thrown.cause === undefined ? '' : messageOf(thrown.cause);
    this.#logger.warn('somebody was not signed in', { why: thrown.message, cause });
    return { failed: thrown.code === 'UNAVAILABLE' ? 'unavailable' : 'refused' };
  }

  /** Nothing but the state travels: what belongs to it is made anew, by a key that never leaves the farm. */
  #attempt(state: string): SignInAttempt {
    const key = Buffer.from(this.#config.KILN_SECRET_KEY, 'hex');
    const made = (what: string): string => keyedDigest(key, `sign-in ${what}`, Buffer.from(state));
    return { state, nonce: made('nonce'), codeVerifier: made('code verifier') };
  }

  #known(): SignInIssuer {
    if (this.#issuer !== undefined) return this.#issuer;
    throw new KilnError('NOT_FOUND', 'people sign in to this farm with tokens alone', {
      hint: 'its operator sets KILN_SIGNIN_OIDC_ISSUER',
    });
  }
}

const pageOf = (outcome: Outcome): string => ('failed' in outcome ? `/sign-in?failed=${outcome.failed}` : outcome.to);

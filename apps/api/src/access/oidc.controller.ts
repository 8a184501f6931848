import { createHash } from 'node:crypto';
import { Body, Controller, Header, HttpCode, Inject, Post } from '@nestjs/common';
import { admit, issuerOf, type Issuers } from '#identity';
import { ACCESS_TOKEN_TYPE, ExchangedToken, TokenExchange } from '#protocol';
import { KilnError } from '#std';
import type { IdToken, TrustRuleStore } from '#storage';
import { z } from 'zod';
import { Public } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { ISSUERS, TRUST_RULES } from '../tokens.ts';

/** What is kept of an id token; the database keeps no NUL. */
const Kept = z.object({ sub: z.string().regex(/^[^\0]{1,1000}$/), exp: z.number() });
/** No id token is older. */
const MAX_AGE_MS = 25 * 3_600_000;

/** Id tokens of CI systems for short-lived tokens of a project. */
@Controller('v1/oidc')
@Public()
export class OidcController {
  readonly #rules: TrustRuleStore;
  readonly #issuers: Issuers;

  constructor(@Inject(TRUST_RULES) rules: TrustRuleStore, @Inject(ISSUERS) issuers: Issuers) {
    this.#rules = rules;
    this.#issuers = issuers;
  }

  @Described({
    summary: 'a short-lived token for the id token of a CI system',
    detail: 'A token exchange as RFC 8693 has it, which is a form; the same in JSON is taken, too.',
    body: { 'application/x-www-form-urlencoded': TokenExchange, 'application/json': TokenExchange },
    answer: ExchangedToken,
    errors: ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'NOT_FOUND', 'CONFLICT', 'LIMIT_EXCEEDED', 'RATE_LIMITED'],
  })
  @Post('token')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async exchange(@Body({ schema: TokenExchange }) request: TokenExchange): Promise<ExchangedToken> {
    const { subject_token: token, project } = request;
    const issuer = issuerOf(token);
    if (!(await this.#rules.isNamed(issuer))) throw refused();
    // Before the project is looked for: whoever has no token of the issuer learns nothing of projects.
    const claims = await this.#issuers.verify(token, issuer);
    const trusting = await this.#rules.trusting(project, issuer);
    const admission = trusting === undefined ? undefined : admit(trusting.rules, claims);
    const kept = Kept.safeParse(claims);
    if (trusting === undefined || admission === undefined || !kept.success) throw refused();
    const { rule, scope } = admission;
    const { secret, trust } = await this.#rules.exchange({
      ...trusting,
      ...admission,
      idToken: idTokenOf(token, kept.data),
    });
    return {
      access_token: secret,
      issued_token_type: ACCESS_TOKEN_TYPE,
      token_type: 'Bearer',
      expires_in: rule.lifetimeSeconds,
      scope: rule.permissions.join(' '),
      project,
      cache_scope: scope,
      trust,
    };
  }
}

function idTokenOf(token: string, { sub: subject, exp }: z.infer<typeof Kept>): IdToken {
  const signed = token.slice(0, token.lastIndexOf('.'));
  const sha256 = createHash('sha256').update(signed).digest();
  // With the tolerance that its end has.
  return { subject, sha256, expiresAt: new Date(Math.min(exp * 1_000 + 60_000, Date.now() + MAX_AGE_MS)) };
}

/** One answer for an issuer, a project and a claim that do not fit. */
const refused = (): KilnError =>
  new KilnError('UNAUTHENTICATED', 'no trust rule of such a project takes this id token', {
    hint: 'check the name of the project, and the issuer, the audience and the claims of its trust rules',
  });

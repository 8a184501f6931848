import { Body, Controller, Header, HttpCode, Inject, Post } from '@nestjs/common';
import { admit, issuerOf, type Issuers } from '#identity';
import { ACCESS_TOKEN_TYPE, ExchangedToken, TokenExchange } from '#protocol';
import { KilnError } from '#std';
import type { TrustRuleStore } from '#storage';
import { z } from 'zod';
import { Public } from '../http/auth.guard.ts';
import { Described } from '../openapi/described.ts';
import { ISSUERS, TRUST_RULES } from '../tokens.ts';

const Subject = z.string().min(1).max(1_000);

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
    answer: ExchangedToken,
    errors: ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'NOT_FOUND'],
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
    const subject = Subject.safeParse(claims['sub']);
    if (trusting === undefined || admission === undefined || !subject.success) throw refused();
    const { rule, scope } = admission;
    const { secret, trust } = await this.#rules.exchange({ ...trusting, ...admission, subject: subject.data });
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

/** One answer for an issuer, a project and a claim that do not fit. */
const refused = (): KilnError =>
  new KilnError('UNAUTHENTICATED', 'no trust rule of such a project takes this id token', {
    hint: 'check the name of the project, and the issuer, the audience and the claims of its trust rules',
  });

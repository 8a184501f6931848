import type { TrustRule, TrustRuleRequest, TrustRuleTried } from '#protocol';
import { admit } from './admit.ts';
import { type Claims, claimTexts } from './claims.ts';
import { globMatches } from './glob.ts';
import { pullRequestOf } from './pull-request.ts';

/** What a rule, alone, would give for these claims; issuer and audience are the rule's own where they are not said. */
export function tryRule(request: TrustRuleRequest, said: Claims): TrustRuleTried {
  const { issuer, audience, claims: patterns, scope, parent = null } = request;
  const claims: Claims = { iss: issuer, aud: audience, ...said };
  const rule: TrustRule = { ...request, parent, id: '', createdAt: '' };
  const admission = admit([rule], claims);
  if (admission !== undefined) return { scope: admission.scope, trust: admission.trust, unmet: [] };
  const exactly = (wanted: string, given: string): boolean => wanted === given;
  const unmet = [
    ...unmetBy(claims, { iss: issuer, aud: audience }, exactly),
    ...unmetBy(claims, patterns, globMatches),
    ...unnamed(scope, claims),
  ];
  return { scope: null, trust: null, unmet };
}

function unmetBy(
  claims: Claims,
  patterns: TrustRule['claims'],
  matches: (wanted: string, given: string) => boolean,
): TrustRuleTried['unmet'] {
  return Object.entries(patterns).flatMap(([claim, wanted]) => {
    const given = [...claimTexts(claims, claim)];
    const texts = [wanted].flat();
    return texts.some((each) => given.some((text) => matches(each, text))) ? [] : [{ claim, wanted: texts, given }];
  });
}

/** Claims of the scope's name that the token lacks, or has several of. */
function unnamed(scope: string, claims: Claims): TrustRuleTried['unmet'] {
  const names = [...scope.matchAll(/\{([^{}\s]+)\}/g)].flatMap(([, name = '']) => name);
  return names.flatMap((claim) => {
    const given = [...claimTexts(claims, claim)];
    const told = claim === 'pull_request' && pullRequestOf(claims) !== undefined;
    const fits = given.length === 1 && given[0] !== '';
    return fits || told ? [] : [{ claim, wanted: ['*'], given }];
  });
}

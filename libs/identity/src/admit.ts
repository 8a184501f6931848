import { Trust, type TrustRule } from '#protocol';
import { type Claims, claimTexts } from './claims.ts';
import { globMatches } from './glob.ts';
import { mostTrust } from './pull-request.ts';
import { scopeName } from './scope-name.ts';

/** What a token is given for an id token. */
export interface Admission {
  readonly rule: TrustRule;
  readonly scope: string;
  /** at most */
  readonly trust: Trust;
}

/**
 * What the rules of a project give for a verified id token; undefined for nothing. Of several rules the one that says most
 * counts: that names most claims without wildcards, then most claims; then the one that trusts least, then the oldest.
 */
export function admit(rules: readonly TrustRule[], claims: Claims): Admission | undefined {
  const limit = mostTrust(claims);
  const rank = (trust: Trust): number => Trust.options.indexOf(trust);
  const fitting = rules.flatMap((rule) => {
    const cap = limit !== undefined && rank(limit) < rank(rule.trust) ? limit : undefined;
    const scope = fits(rule, claims) ? scopeName(rule.scope, claims, cap) : undefined;
    return scope === undefined ? [] : [{ rule, scope, trust: cap ?? rule.trust }];
  });
  const exact = ({ rule }: Admission): number =>
    Object.values(rule.claims).filter((patterns) => ![patterns].flat().some((each) => /[*?]/.test(each))).length;
  const named = ({ rule }: Admission): number => Object.keys(rule.claims).length;
  return fitting.toSorted(
    (one, other) => exact(other) - exact(one) || named(other) - named(one) || rank(one.trust) - rank(other.trust),
  )[0];
}

function fits({ issuer, audience, claims: patterns }: TrustRule, claims: Claims): boolean {
  if (claims['iss'] !== issuer || !claimTexts(claims, 'aud').includes(audience)) return false;
  return Object.entries(patterns).every(([name, wanted]) => {
    const given = claimTexts(claims, name);
    return [wanted].flat().some((pattern) => given.some((text) => globMatches(pattern, text)));
  });
}

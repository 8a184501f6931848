import { createHash } from 'node:crypto';
import { Trust } from '#protocol';
import { type Claims, claimText } from './claims.ts';
import { pullRequestOf } from './pull-request.ts';

const MAX_LENGTH = 128;
const HASH_LENGTH = 32;
const LIKE_A_HASH = /-[0-9a-f]{32}$/;
const BRANCH = 'refs/heads/';
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);

/**
 * The scope that a template names; undefined when a claim of it is not there. What the name of a scope cannot hold is replaced, and
 * a hash of what was there appended: two refs never share a scope.
 * @param cap where the token is trusted less than the rule: such scopes have names of their own
 */
export function scopeName(template: string, claims: Claims, cap?: Trust): string | undefined {
  let missing = false;
  let ambiguous = false;
  const fill = (shorten: (value: string) => string): string =>
    template.replaceAll(/\{([^{}\s]+)\}/g, (_, name: string) => {
      const value =
        name === 'pull_request' ? (claimText(claims, name) ?? pullRequestOf(claims)) : claimText(claims, name);
      if (value === undefined || value === '') missing = true;
      return shorten(value ?? '');
    });
  const whole = fill((value) => {
    const short = value.startsWith(BRANCH) ? value.slice(BRANCH.length) : value;
    // A branch may be called `refs/tags/v1`.
    if (short !== value && short.startsWith('refs/')) ambiguous = true;
    return short;
  });
  if (missing) return undefined;
  const mine = cap === undefined ? '' : `${cap}/`;
  // A branch may be called as what is capped, or as what is hashed.
  if (cap === undefined && template.startsWith('{') && Trust.options.some((each) => whole.startsWith(`${each}/`)))
    ambiguous = true;
  const named = `${mine}${whole}`;
  const plain = named.replaceAll(/[^A-Za-z0-9._/-]/g, '-').replace(/^[^A-Za-z0-9]/, 'x');
  if (!ambiguous && plain === named && plain.length <= MAX_LENGTH && !LIKE_A_HASH.test(plain)) return plain;
  return `${plain.slice(0, MAX_LENGTH - HASH_LENGTH - 1)}-${hashOf(`${mine}${fill((value) => value)}`)}`;
}

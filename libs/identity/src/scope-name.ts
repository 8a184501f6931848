import { createHash } from 'node:crypto';
import { type Claims, claimText } from './claims.ts';
import { pullRequestOf } from './pull-request.ts';

const MAX_LENGTH = 128;
const HASH_LENGTH = 12;
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);

/**
 * The scope that a template names; undefined when a claim of it is not there. What the name of a scope cannot hold is replaced, and
 * a hash of what was there appended: two refs never share a scope.
 */
export function scopeName(template: string, claims: Claims): string | undefined {
  let missing = false;
  const whole = template.replaceAll(/\{([^{}\s]+)\}/g, (_, name: string) => {
    const value =
      name === 'pull_request' ? (claimText(claims, name) ?? pullRequestOf(claims)) : claimText(claims, name);
    if (value === undefined || value === '') missing = true;
    return value?.replace(/^refs\/heads\//, '') ?? '';
  });
  if (missing) return undefined;
  const plain = whole.replaceAll(/[^A-Za-z0-9._/-]/g, '-').replace(/^[^A-Za-z0-9]/, 'x');
  if (plain === whole && plain.length <= MAX_LENGTH) return plain;
  return `${plain.slice(0, MAX_LENGTH - HASH_LENGTH - 1)}-${hashOf(whole)}`;
}

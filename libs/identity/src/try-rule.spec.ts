import { TrustRuleRequest } from '#protocol';
import { idTokenClaims } from '#testing';
import { describe, expect, it } from 'vitest';
import { tryRule } from './try-rule.ts';

const rule = TrustRuleRequest.parse({
  name: 'branches',
  issuer: 'https://issuer.example',
  audience: 'kiln',
  claims: { repository: 'acme/web', ref: 'refs/heads/*' },
  scope: 'branch/{ref}',
  trust: 'branch',
});
const github = idTokenClaims.github;

describe('a rule that is tried', () => {
  it('says which scope a token gets, and how far it is trusted', () => {
    expect(tryRule(rule, github)).toEqual({ scope: 'branch/main', trust: 'branch', unmet: [] });
    const fork = { ...github, event_name: 'pull_request_target' };
    expect(tryRule(rule, fork)).toEqual({ scope: 'fork/branch/main', trust: 'fork', unmet: [] });
  });

  it('says what is in the way', () => {
    expect(tryRule(rule, { ...github, repository: 'acme/api', aud: ['other'] })).toEqual({
      scope: null,
      trust: null,
      unmet: [
        { claim: 'aud', wanted: ['kiln'], given: ['other'] },
        { claim: 'repository', wanted: ['acme/web'], given: ['acme/api'] },
      ],
    });
    expect(tryRule({ ...rule, scope: 'env/{environment}' }, github).unmet).toEqual([
      { claim: 'environment', wanted: ['*'], given: [] },
    ]);
    // An issuer is no pattern.
    expect(tryRule({ ...rule, audience: '*' }, { ...github, aud: 'x' }).unmet).toMatchObject([{ claim: 'aud' }]);
  });

  it('says so where nothing tells the number of a pull request', () => {
    const { unmet } = tryRule({ ...rule, scope: 'pr/{pull_request}' }, github);
    expect(unmet).toEqual([{ claim: 'pull_request', wanted: ['*'], given: [] }]);
    const pull = { ...github, ref: 'refs/pull/7/merge', event_name: 'pull_request', repository_visibility: 'public' };
    const open = {
      ...rule,
      trust: 'pull-request' as const,
      claims: { repository: 'acme/web' },
      scope: 'pr/{pull_request}',
    };
    expect(tryRule(open, pull).scope).toBe('pr/7');
  });
});

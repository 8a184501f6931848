import { TrustRuleRequest, type TrustRule, type TrustRuleRequestInput } from '#protocol';
import { idTokenClaims } from '#testing';
import { describe, expect, it } from 'vitest';
import { admit } from './admit.ts';

const iss = 'https://issuer.example';
let made = 0;
function rule(more: Partial<TrustRuleRequestInput>): TrustRule {
  const request = { name: `r${made++}`, issuer: iss, audience: 'kiln', claims: {}, scope: 'main', trust: 'protected' };
  const given = TrustRuleRequest.parse({ ...request, ...more });
  return { ...given, id: given.name, parent: given.parent ?? null, createdAt: '2026-01-01T00:00:00Z' };
}
const token = (claims: object) => ({ iss, aud: ['other', 'kiln'], ...claims });
const github = (more: object) => token({ ...idTokenClaims.github, ...more });

describe('a rule', () => {
  const acme = rule({ claims: { repository: 'acme/web' }, scope: 'branch/{ref}' });

  it.each([
    [{}, 'branch/main'],
    [{ ref: 'refs/heads/feature/x' }, 'branch/feature/x'],
    [{ ref: 'refs/tags/v1' }, 'branch/refs/tags/v1'],
    [{ repository: 'acme/web2' }, undefined],
    [{ repository: 'evil/acme/web' }, undefined],
    [{ repository: undefined }, undefined],
    [{ ref: undefined }, undefined],
    [{ ref: ['refs/heads/main', 'refs/heads/other'] }, undefined],
    [{ iss: 'https://other.example' }, undefined],
    [{ aud: 'other' }, undefined],
  ])('with claims %j is for the scope %s', (more, scope) => {
    expect(admit([acme], github(more))?.scope).toBe(scope);
  });

  it('takes patterns, several of them, numbers, truths and lists', () => {
    const fits = (claims: TrustRuleRequestInput['claims'], given: object): boolean =>
      admit([rule({ claims })], token(given)) !== undefined;
    expect(fits({ ref: 'refs/heads/release-?', repository: 'acme/*' }, github({ ref: 'refs/heads/release-2' }))).toBe(
      true,
    );
    expect(fits({ ref: 'refs/heads/release-?' }, { ref: 'refs/heads/release-22' })).toBe(false);
    expect(fits({ ref: ['refs/heads/main', 'refs/tags/*'] }, { ref: 'refs/tags/v1' })).toBe(true);
    expect(fits({ build_number: '7' }, idTokenClaims.buildkite)).toBe(true);
    expect(fits({ 'oidc.circleci.com/ssh-rerun': 'false' }, idTokenClaims.circleci)).toBe(true);
    expect(fits({ 'oidc.circleci.com/context-ids': 'c2' }, idTokenClaims.circleci)).toBe(true);
    expect(fits({ build_tag: 'x*' }, idTokenClaims.buildkite)).toBe(false);
    expect(fits({ toString: 'x*' }, {})).toBe(false);
    // Of any length, at once.
    expect(fits({ ref: `${'a*'.repeat(200)}b` }, { ref: 'a'.repeat(10_000) })).toBe(false);
  });

  it('that says most goes before others, then the one that trusts least', () => {
    const main = rule({ claims: { repository: 'acme/web', ref: 'refs/heads/main' }, scope: 'main' });
    const low = rule({ claims: { repository: 'acme/*' }, scope: 'low', trust: 'branch' });
    expect(admit([acme, low, main], github({}))?.rule).toBe(main);
    expect(admit([acme, low, main], github({ ref: 'refs/heads/x' }))?.rule).toBe(low);
  });

  it('is refused when it takes anybody’s tokens', () => {
    for (const claims of [{}, { repository: '*' }, { repository: ['acme', '**'] }])
      expect(() => rule({ claims })).toThrow('whose token it is');
    expect(() => rule({ issuer: 'http://issuer.example', claims: { a: 'b' } })).toThrow('https');
    expect(() => rule({ scope: '../{ref}', claims: { a: 'b' } })).toThrow('name of a scope');
  });
});

describe('names of scopes', () => {
  it('differ where refs do, and are names', () => {
    const branch = rule({ claims: { repository: 'acme/web' }, scope: 'branch/{ref}' });
    const refs = ['a#1', 'a-1', 'a_1', 'a 1', '../main', 'ä', 'x'.repeat(300), 'x'.repeat(301)];
    const names = refs.map((ref) => admit([branch], github({ ref: `refs/heads/${ref}` }))?.scope ?? '');
    expect(new Set(names).size).toBe(refs.length);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/);
  });
});

describe('a pull request', () => {
  const any = rule({ claims: { repository: 'acme/web' }, scope: 'pr/{pull_request}' });
  const trustOf = (more: object): string | undefined => {
    const claims = { sub: '*b' };
    return admit([rule({ claims, trust: 'protected' })], token({ ...more, sub: 'b' }))?.trust;
  };

  it('has its number', () => {
    expect(admit([any], github({ event_name: 'pull_request', ref: 'refs/pull/7/merge' }))?.scope).toBe('pr/7');
    expect(admit([any], github({}))).toBeUndefined();
  });

  it.each([
    ['of GitHub, in a private repository', { event_name: 'pull_request', repository_visibility: 'private' }, 'fork'],
    ['of GitHub, with no visibility', { event_name: 'pull_request' }, 'fork'],
    [
      'of GitHub, in a public one',
      { event_name: 'pull_request', repository_visibility: 'public', ref: 'refs/pull/7/merge' },
      'pull-request',
    ],
    [
      'of GitHub, with the target’s rights',
      { event_name: 'pull_request_target', repository_visibility: 'public', ref: 'refs/heads/main' },
      'fork',
    ],
    ['of GitHub, by its ref alone', { event_name: 'workflow_dispatch', ref: 'refs/pull/7/head' }, 'fork'],
    [
      'of GitLab, of the project',
      { pipeline_source: 'merge_request_event', project_path: 'a/b', job_project_path: 'a/b' },
      'pull-request',
    ],
    [
      'of GitLab, of a fork',
      { pipeline_source: 'merge_request_event', project_path: 'x/b', job_project_path: 'a/b' },
      'fork',
    ],
    ['of GitLab, before it told', { pipeline_source: 'merge_request_event', project_path: 'a/b' }, 'fork'],
    ['of GitLab, from elsewhere', { pipeline_source: 'external_pull_request_event' }, 'fork'],
    ['of Buildkite', { build_branch: 'somebody:main' }, 'fork'],
    ['of CircleCI', { 'oidc.circleci.com/vcs-ref': 'refs/pull/7/head' }, 'fork'],
    ['that is none', { event_name: 'push', ref: 'refs/heads/main' }, 'protected'],
  ])('%s', (_, claims, trust) => {
    expect(trustOf(claims)).toBe(trust);
  });
});

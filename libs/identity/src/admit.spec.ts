import { readFile } from 'node:fs/promises';
import { Trust, TrustRuleRequest, type TrustRule, type TrustRuleRequestInput } from '#protocol';
import { idTokenClaims } from '#testing';
import { describe, expect, it } from 'vitest';
import { admit } from './admit.ts';

const iss = 'https://issuer.example';
let made = 0;
function rule(more: Partial<TrustRuleRequestInput>): TrustRule {
  const request = { name: `r${made++}`, issuer: iss, audience: 'kiln', claims: {}, scope: 'main', trust: 'protected' };
  const claims = more.claims ?? {};
  // Of a sub that all tokens of this file have, where the claims are not what matters.
  const given = TrustRuleRequest.parse({ ...request, ...more, claims: { sub: 's', ...claims } });
  return { ...given, claims, id: given.name, parent: given.parent ?? null, createdAt: '2026-01-01T00:00:00Z' };
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
    const low = rule({ claims: { repository: ['acme/web', 'acme/api'] }, scope: 'low', trust: 'branch' });
    const wide = rule({ claims: { repository: 'acme/*', ref: 'refs/*' }, scope: 'wide', trust: 'fork' });
    expect(admit([acme, wide, low, main], github({}))?.rule).toBe(main);
    expect(admit([acme, wide, low, main], github({ ref: 'refs/heads/x' }))?.rule).toBe(low);
  });

  it('is refused when it takes anybody’s tokens', () => {
    const taken = (claims: TrustRuleRequestInput['claims']): boolean => {
      const request = { name: 'r', issuer: iss, audience: 'kiln', scope: 'main', trust: 'protected' };
      return TrustRuleRequest.safeParse({ ...request, claims }).success;
    };
    for (const claims of [
      {},
      { repository: '*' },
      { repository: '*/*' },
      { repository: '?*/web' },
      { repository: 'ac*' },
      { repository: ['acme/web', 'a*'] },
      { repository_id: '1*' },
      { event_name: 'push', ref: 'refs/heads/main', repository: '*/*' },
      { job_workflow_ref: 'acme/web/.github/workflows/ci.yml@refs/heads/main' },
      { sub: 'repo:*' },
      { sub: 'repo:ac*/web:*' },
      { pipeline_slug: 'web' },
    ])
      expect([claims, taken(claims)]).toEqual([claims, false]);
    for (const claims of [
      { repository: 'acme/*' },
      { repository: ['acme/web', 'acme/api-?'] },
      { repository_owner_id: '7' },
      { project_path: 'acme/*', ref: '*' },
      { organization_slug: 'acme', pipeline_slug: '*' },
      { sub: 'repo:acme/*' },
      { sub: 'organization:acme:*' },
      { sub: 'whole' },
    ])
      expect([claims, taken(claims)]).toEqual([claims, true]);
    expect(() => rule({ issuer: 'http://issuer.example' })).toThrow('https');
    expect(() => rule({ scope: '../{ref}' })).toThrow('name of a scope');
  });
});

describe('names of scopes', () => {
  it('of branches are never those of tags, of hashed names, and of what is trusted less', () => {
    const plain = rule({ claims: { repository: 'acme/web' }, scope: '{ref}' });
    const named = (more: object): string => admit([plain], github(more))?.scope ?? '';
    const tag = named({ ref: 'refs/tags/v1' });
    expect(tag).toBe('refs/tags/v1');
    expect(named({ ref: 'refs/heads/refs/tags/v1' })).not.toBe(tag);
    expect(named({ ref: 'refs/heads/refs/tags/v#' })).not.toBe(named({ ref: 'refs/tags/v#' }));
    const hashed = named({ ref: 'refs/heads/a#' });
    expect(hashed).toMatch(/^a--[0-9a-f]{32}$/);
    expect(named({ ref: `refs/heads/${hashed}` })).not.toBe(hashed);
    const capped = named({ ref: 'refs/heads/x', event_name: 'pull_request' });
    expect(capped).toBe('fork/x');
    expect(named({ ref: 'refs/heads/fork/x' })).not.toBe(capped);
  });

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
    return admit([rule({ claims: { sub: 'b' }, trust: 'protected' })], token({ ...more, sub: 'b' }))?.trust;
  };

  it('has its number', () => {
    expect(admit([any], github({ event_name: 'pull_request', ref: 'refs/pull/7/merge' }))?.scope).toBe('fork/pr/7');
    const open = { event_name: 'pull_request', ref: 'refs/pull/7/merge', repository_visibility: 'public' };
    expect(admit([any], github(open))?.scope).toBe('pull-request/pr/7');
    expect(admit([{ ...any, trust: 'pull-request' }], github(open))?.scope).toBe('pr/7');
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
    ['of GitHub, at its end', { event_name: 'workflow_run', ref: 'refs/heads/main' }, 'fork'],
    ['of GitHub, commented', { event_name: 'issue_comment', ref: 'refs/heads/main' }, 'fork'],
    ['of GitHub, by an event to come', { event_name: 'discussion_poll', ref: 'refs/heads/main' }, 'fork'],
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

describe('docs/identity.md', () => {
  it('has tables of rules that give what they say', async () => {
    const text = await readFile(new URL('../../../docs/identity.md', import.meta.url), 'utf8');
    const tables = [
      ...text.matchAll(/^### (.+)\n(?:(?!^#)[^])*?\n\| \| claims \| scope \| trust \|\n.*\n((?:\|.*\n)+)/gm),
    ];
    const given: Readonly<Record<string, object>> = {
      'GitHub Actions': idTokenClaims.github,
      'GitLab CI': idTokenClaims.gitlab,
      Buildkite: idTokenClaims.buildkite,
      CircleCI: idTokenClaims.circleci,
    };
    expect(tables.map(([, system]) => system)).toEqual(Object.keys(given));
    for (const [, system = '', rows = ''] of tables) {
      const claims = token(given[system] ?? {});
      const rules = rows
        .trim()
        .split('\n')
        .map((row) => ruleOf(row, claims));
      // A push to main, which all of the first rules are of.
      expect([system, admit(rules.toReversed(), claims)?.rule]).toEqual([system, rules[0]]);
    }
  });
});

/** Of a row as `| main | `repository`, `ref: refs/heads/main` | `main` | `protected` |`; what is not said is as the token says. */
function ruleOf(row: string, token: Readonly<Record<string, unknown>>): TrustRule {
  const [, , claims = '', scope = '', trust = ''] = row.split(/ *\| */);
  const patterns = [...claims.matchAll(/`([^`:]+)(?:: ([^`]+))?`/g)].map(
    ([, name = '', wanted = String(token[name])]) => {
      const list = /^\[(.*)\]$/.exec(wanted)?.[1];
      return [name, list === undefined ? wanted.replaceAll('"', '') : list.split(', ')] as const;
    },
  );
  return rule({
    claims: Object.fromEntries(patterns),
    scope: scope.replaceAll('`', ''),
    trust: Trust.parse(trust.replaceAll('`', '')),
  });
}

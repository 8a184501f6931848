import { describe, expect, it } from 'vitest';
import {
  claimsIn,
  claimsOf,
  draftFrom,
  draftOf,
  ruleOf,
  sampleFor,
  sentenceOf,
  type TrustRuleDraft,
} from './trust-rule-draft.ts';
import { trustRulePresets } from './trust-rule-presets.ts';

const empty: TrustRuleDraft = {
  ...{ name: '', issuer: '', audience: 'https://kiln.example.com', claims: '', scope: '', parent: '' },
  trust: 'branch',
  permissions: ['build', 'read'],
  minutes: '60',
};
const own = (text: string): string => text.replaceAll(/<[^<>]+>/g, 'acme');

describe('a preset', () => {
  it.each(trustRulePresets.map((preset) => [preset.id, preset] as const))(
    '%s is a rule once it is filled in',
    (_, preset) => {
      const draft = draftFrom(preset, empty, { scope: 'main', trust: 'protected' });
      expect(ruleOf(draft)).toMatchObject({ faults: { claims: expect.stringContaining('<') as unknown } });
      const filled = { ...draft, issuer: own(draft.issuer), claims: own(draft.claims) };
      const drafted = ruleOf(filled);
      expect(drafted).toMatchObject({ rule: { trust: preset.trust, scope: preset.scope } });
      const asked = 'rule' in drafted ? Object.keys(drafted.rule.claims) : [];
      // What is tried first says all that the rule asks for.
      expect(Object.keys(sampleFor(filled))).toEqual(expect.arrayContaining(asked));
    },
  );
});

it('a preset gives no more than one has', () => {
  const [preset] = trustRulePresets;
  if (preset === undefined) throw new Error('no preset');
  expect(draftFrom(preset, empty, { scope: 'pr', trust: 'pull-request' })).toMatchObject({ trust: 'pull-request' });
});

describe('claims', () => {
  it('are written one a line', () => {
    expect(claimsOf('repository: acme/web\n\n event_name:  push\nevent_name: create ')).toEqual({
      repository: 'acme/web',
      event_name: ['push', 'create'],
    });
    expect(claimsOf('sub: repo:acme/web:*\nhttps://x.example/y: z')).toEqual({
      sub: 'repo:acme/web:*',
      'https://x.example/y': 'z',
    });
    expect(claimsOf('a: b\nref=main')).toBe('line 2 is not as “claim: value”');
  });

  it('come back as they were', () => {
    const claims = 'repository: acme/web\nref: refs/heads/*\nevent_name: push\nevent_name: create';
    const drafted = ruleOf({
      ...empty,
      name: 'x',
      issuer: 'https://a.example',
      claims,
      scope: 'b/{ref}',
      parent: 'main',
    });
    if (!('rule' in drafted)) throw new Error('no rule');
    const kept = { ...drafted.rule, parent: 'main', id: '1', createdAt: '2026-01-01T00:00:00Z' };
    expect(draftOf(kept)).toMatchObject({ claims, minutes: '60', parent: 'main' });
    expect(sentenceOf(drafted.rule)).toContain(
      'repository acme/web, ref refs/heads/* and event_name push or create may build and read for 60 minutes, in a scope named b/{ref}, which inherits main',
    );
  });

  it('are taken from JSON and from id tokens', () => {
    expect(claimsIn('{"ref": "main", "ids": [1, 2], "nested": {"a": 1}}')).toEqual({ ref: 'main', ids: [1, 2] });
    const payload = Buffer.from('{"sub":"grüße"}').toString('base64url');
    expect(claimsIn(`eyJhbGciOiJSUzI1NiJ9.${payload}.c2ln`)).toEqual({ sub: 'grüße' });
    for (const text of ['', '[]', 'null', 'a.b.c', '{']) expect(claimsIn(text)).toContain('neither');
  });
});

it('what is wrong is told by its field', () => {
  const faults = ruleOf({
    ...empty,
    name: 'x',
    issuer: 'http://a.example',
    claims: 'ref: x',
    scope: '/',
    minutes: 'x',
  });
  expect(Object.keys('faults' in faults ? faults.faults : {}).toSorted()).toEqual([
    ...['claims', 'issuer', 'lifetimeSeconds', 'scope'],
  ]);
});

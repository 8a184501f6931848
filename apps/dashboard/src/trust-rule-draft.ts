import { type MeView, type Permission, type Trust, type TrustRule, TrustRuleRequest } from '#protocol';
import type { Faults } from './settings-form.tsx';
import { reaches } from './settings-rights.tsx';
import { sampleOf, type TrustRulePreset } from './trust-rule-presets.ts';

/** A rule as it is written in the form. */
export interface TrustRuleDraft {
  readonly name: string;
  readonly issuer: string;
  readonly audience: string;
  /** `claim: pattern`, one a line */
  readonly claims: string;
  readonly scope: string;
  readonly parent: string;
  readonly trust: Trust;
  readonly permissions: readonly Exclude<Permission, 'admin'>[];
  readonly minutes: string;
}

export type Drafted = { readonly rule: TrustRuleRequest } | { readonly faults: Faults };

const placeholder = /<[^<>\n]+>/;

export const draftOf = (rule: TrustRule): TrustRuleDraft => ({
  ...rule,
  claims: Object.entries(rule.claims)
    .flatMap(([claim, patterns]) => [patterns].flat().map((pattern) => `${claim}: ${pattern}`))
    .join('\n'),
  parent: rule.parent ?? '',
  minutes: String(rule.lifetimeSeconds / 60),
});

/** What a preset makes of a draft, within what who writes it may. */
export const draftFrom = (
  { id, issuer, claims, scope, trust }: TrustRulePreset,
  before: TrustRuleDraft,
  me: Pick<MeView, 'scope' | 'trust'>,
): TrustRuleDraft => ({
  ...before,
  ...{ name: id, issuer, claims, scope },
  parent: scope.includes('{') ? me.scope : '',
  trust: reaches(me, trust) ? trust : me.trust,
});

/** What is sent for a draft, or what is wrong with it. */
export function ruleOf(draft: TrustRuleDraft): Drafted {
  const { name, issuer, audience, scope, trust, minutes, parent, claims: lines, permissions } = draft;
  const claims = claimsOf(lines);
  if (typeof claims === 'string') return { faults: { claims } };
  const left = Object.entries({ issuer, claims: lines, scope }).flatMap(([field, text]) => {
    const found = placeholder.exec(text);
    return found === null ? [] : [[field, `put your own in place of ${found[0]}`] as const];
  });
  if (left.length > 0) return { faults: Object.fromEntries(left) };
  const parsed = TrustRuleRequest.safeParse({
    ...{ name, issuer, audience, claims, scope, trust },
    ...(parent === '' ? {} : { parent }),
    permissions: [...permissions],
    lifetimeSeconds: Math.round(Number(minutes) * 60),
  });
  if (parsed.success) return { rule: parsed.data };
  return {
    faults: Object.fromEntries(parsed.error.issues.map(({ path, message }) => [String(path[0] ?? ''), message])),
  };
}

/** By claim, of several lines of one claim any; a text says what is wrong. */
export function claimsOf(lines: string): TrustRuleRequest['claims'] | string {
  const claims = new Map<string, string[]>();
  for (const [at, line] of lines.split('\n').entries()) {
    if (line.trim() === '') continue;
    const [, claim, pattern] = /^\s*(\S+?):\s+(.*\S)\s*$/.exec(line) ?? [];
    if (claim === undefined || pattern === undefined) return `line ${at + 1} is not as “claim: value”`;
    claims.set(claim, [...(claims.get(claim) ?? []), pattern]);
  }
  return Object.fromEntries(
    [...claims].map(([claim, [only = '', ...more]]) => [claim, more.length === 0 ? only : [only, ...more]]),
  );
}

/** Claims of an id token that the rule is likely to admit: what the issuer's tokens say, and what the rule asks for in so many words. */
export function sampleFor({ issuer, claims: lines }: TrustRuleDraft): Readonly<Record<string, unknown>> {
  const claims = claimsOf(lines);
  const asked = typeof claims === 'string' ? [] : Object.entries(claims);
  const literal = asked.flatMap(([claim, patterns]) => {
    const [first = ''] = [patterns].flat();
    return /[*?<]/.test(first) ? [] : [[claim, first] as const];
  });
  return { ...sampleOf(issuer), ...Object.fromEntries(literal) };
}

/** What a rule comes to, for people. */
export function sentenceOf({ claims, scope, parent, trust, permissions, lifetimeSeconds }: TrustRuleRequest): string {
  const whose = Object.entries(claims).map(([claim, patterns]) => `${claim} ${[patterns].flat().join(' or ')}`);
  const named = scope.includes('{') ? `a scope named ${scope}` : `the scope ${scope}`;
  const inherits = parent === undefined ? '' : `, which inherits ${parent} where it is made for it`;
  return (
    `Jobs with ${listed(whose)} may ${listed(permissions)} for ${Math.round(lifetimeSeconds / 60)} minutes, ` +
    `in ${named}${inherits}, trusted as ${trust} at most. Forks’ pull requests are trusted as fork, whatever the rule says.`
  );
}

const listed = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;

/** The claims in a text that a rule can ask for: JSON, or an id token, of which no signature is looked at. A text says what is wrong. */
export function claimsIn(text: string): Readonly<Record<string, unknown>> | string {
  const [, payload] = /^\s*[\w-]+\.([\w-]+)\.[\w-]*\s*$/.exec(text) ?? [];
  try {
    const json: unknown = JSON.parse(payload === undefined ? text : decoded(payload));
    if (typeof json === 'object' && json !== null && !Array.isArray(json))
      return Object.fromEntries(Object.entries(json).filter(([, value]) => [value].flat().every(isPlain)));
  } catch {
    // Said below.
  }
  return 'this is neither claims in JSON, such as {"ref": "refs/heads/main"}, nor an id token';
}

const isPlain = (value: unknown): boolean => value === null || typeof value !== 'object';

function decoded(base64url: string): string {
  const binary = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return new TextDecoder().decode(Uint8Array.from(binary, (character) => character.codePointAt(0) ?? 0));
}

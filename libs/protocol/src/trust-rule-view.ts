import { z } from 'zod';
import { AccessName, Label, Permission, Trust } from './access.ts';

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** As id tokens name it in `iss`. */
export const Issuer = z
  .url({ protocol: /^https?$/ })
  .max(500)
  .refine((text) => {
    // Refused by the schema before.
    if (!URL.canParse(text)) return true;
    const { protocol, hostname, username, password, search, hash } = new URL(text);
    const plain = protocol === 'http:' && !loopback.test(hostname);
    return !plain && [username, password, search, hash].every((part) => part === '');
  }, 'an https URL without user, query and fragment');

const Pattern = z.string().min(1).max(512);

/** What a claim has to be: one of these, exactly or by `*` (any text) and `?` (one character). */
export const ClaimPatterns = z
  .record(z.string().min(1).max(200), z.union([Pattern, z.array(Pattern).min(1).max(32)]))
  .refine((claims) => Object.keys(claims).length <= 32, '32 claims at most');
export type ClaimPatterns = z.infer<typeof ClaimPatterns>;

/** Claims that say whose a token is. What other claims say, everybody's tokens may say. */
const OWNERS = new Set([
  ...['repository', 'repository_id', 'repository_owner', 'repository_owner_id'],
  ...['project_path', 'project_id', 'namespace_path', 'namespace_id'],
  ...['organization_slug', 'organization_id', 'oidc.circleci.com/project-id', 'sub'],
]);

/** Whether a claim names somebody: whole, or up to the end of the owner's name. */
function namesOwner([name, patterns]: readonly [string, ClaimPatterns[string]]): boolean {
  // `repo:acme/web:…`, `project_path:acme/web:…`, `organization:acme:…`
  const owner = name === 'sub' ? /^[^*?:/]+[:/][^*?:/]+[:/]/ : /^[^*?/]+\//;
  return OWNERS.has(name) && [patterns].flat().every((each) => !/[*?]/.test(each) || owner.test(each));
}

/** `pr/{pull_request}`: in braces the name of a claim. */
export const ScopeTemplate = z
  .string()
  .max(200)
  .refine(
    (text) => AccessName.safeParse(text.replaceAll(/\{[^{}\s]{1,200}\}/g, 'x')).success,
    'the name of a scope, with claims in braces, such as branch/{ref}',
  );

/** POST /v1/trust-rules, PUT /v1/trust-rules/:id: whose id tokens are exchanged for tokens of the project. */
export const TrustRuleRequest = z.strictObject({
  name: Label,
  issuer: Issuer,
  audience: z.string().min(1).max(500),
  claims: ClaimPatterns.refine(
    (claims) => Object.entries(claims).some(namesOwner),
    'name a claim that says whose token it is, such as repository: others have tokens of this issuer too',
  ),
  scope: ScopeTemplate,
  /** what a scope inherits that is made for it */
  parent: AccessName.optional(),
  /** at most, and of a scope that is made for it */
  trust: Trust,
  permissions: z
    .array(Permission.exclude(['admin']))
    .min(1)
    .max(2)
    .default(['build', 'read']),
  lifetimeSeconds: z.int().min(60).max(86_400).default(3_600),
});
export type TrustRuleRequest = z.infer<typeof TrustRuleRequest>;
export type TrustRuleRequestInput = z.input<typeof TrustRuleRequest>;

export const TrustRule = TrustRuleRequest.extend({
  id: z.string(),
  claims: ClaimPatterns,
  parent: z.string().nullable(),
  createdAt: z.iso.datetime(),
});
export type TrustRule = z.infer<typeof TrustRule>;

/** GET /v1/trust-rules: all of them, the oldest first. */
export const TrustRuleList = z.object({ rules: z.array(TrustRule) });
export type TrustRuleList = z.infer<typeof TrustRuleList>;

const MAX_CLAIMS = 16_384;
const Plain = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** POST /v1/trust-rules/try: what a rule would give for an id token that says this; nothing is kept of it. */
export const TrustRuleTry = z.strictObject({
  rule: TrustRuleRequest,
  /** as of the token's payload, without what no rule asks for; `iss` and `aud` are the rule's where they are not said */
  claims: z
    .record(z.string(), z.union([Plain, z.array(Plain)]))
    .refine((claims) => JSON.stringify(claims).length <= MAX_CLAIMS, `${MAX_CLAIMS} characters of JSON at most`),
});
export type TrustRuleTry = z.infer<typeof TrustRuleTry>;
export type TrustRuleTryInput = z.input<typeof TrustRuleTry>;

export const TrustRuleTried = z.object({
  /** null where the rule does not fit */
  scope: z.string().nullable(),
  trust: Trust.nullable(),
  /** what is in the way: claims that the rule or its scope's name needs */
  unmet: z.array(z.object({ claim: z.string(), wanted: z.array(z.string()), given: z.array(z.string()) })),
});
export type TrustRuleTried = z.infer<typeof TrustRuleTried>;

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ID_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:id_token';
export const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';
export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';

/** POST /v1/oidc/token, form fields: https://www.rfc-editor.org/rfc/rfc8693#section-2.1 */
export const TokenExchange = z.object({
  grant_type: z.literal(TOKEN_EXCHANGE),
  subject_token: z.string().min(1).max(16_384),
  subject_token_type: z.enum([ID_TOKEN_TYPE, JWT_TYPE]),
  requested_token_type: z.literal(ACCESS_TOKEN_TYPE).optional(),
  project: AccessName,
});
export type TokenExchange = z.infer<typeof TokenExchange>;

/** https://www.rfc-editor.org/rfc/rfc8693#section-2.2.1, and what the token stands for */
export const ExchangedToken = z.object({
  access_token: z.string(),
  issued_token_type: z.literal(ACCESS_TOKEN_TYPE),
  token_type: z.literal('Bearer'),
  expires_in: z.int(),
  /** its permissions, with blanks between */
  scope: z.string(),
  project: z.string(),
  cache_scope: z.string(),
  trust: Trust,
});
export type ExchangedToken = z.infer<typeof ExchangedToken>;

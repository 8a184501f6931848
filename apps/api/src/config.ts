import { z } from 'zod';
import { parseStoreLocation } from '#content';
import type { SignInIssuerOptions } from '#identity';
import { AccessName, Issuer, Label, Role } from '#protocol';
import { parseAuthorityFile } from '#registry';
import { commaList, KilnError } from '#std';
import type { CollectorLimits, SignInRules, TokenLimits } from '#storage';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const DAY_MS = 86_400_000;
const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

const list = z.string().default('').transform(commaList);

const operatorToken = z.string().regex(/^\S{16,512}$/, '16 to 512 characters without spaces');

/** The API's environment; .env.example says what each is for. */
export const ApiEnv = z.strictObject({
  KILN_API_HOST: z.string().min(1).default('127.0.0.1'),
  KILN_API_PORT: integer(0, 65_535).default(8420),
  /** where clients find the API, when that is not host and port */
  KILN_PUBLIC_URL: z
    .url({ protocol: /^https?$/ })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
  KILN_DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  KILN_DATABASE_CONNECTIONS: integer(2, 200).default(10),
  KILN_REDIS_URL: z.url({ protocol: /^rediss?$/ }),
  /** where blobs are: an absolute folder, or s3://bucket/prefix?region=…&endpoint=…&pathStyle=true */
  KILN_OBJECT_STORE: z.string().min(1).transform(parseStoreLocation),
  KILN_SECRET_KEY: z.string().regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits'),
  /** of a context, unpacked */
  KILN_CONTEXT_MAX_BYTES: integer(1, 2 ** 50).default(8 * GIB),
  KILN_CONTEXT_MAX_FILES: integer(1, 10_000_000).default(500_000),
  /** what the cache of each project, and of all together, may take */
  KILN_CACHE_PROJECT_MIB: integer(0, 2 ** 40).default(51_200),
  KILN_CACHE_TOTAL_MIB: integer(0, 2 ** 40).default(204_800),
  /** of all that clients of a project have sent, as long as it is kept; 0: no limit */
  KILN_SENT_PROJECT_MIB: integer(0, 2 ** 40).default(102_400),
  /** how long contexts and outputs of builds are kept */
  KILN_RETENTION_HOURS: integer(0, 87_600).default(168),
  /** how long an image with a name is kept after it was last built, tagged or pushed */
  KILN_IMAGE_RETENTION_DAYS: integer(0, 3_650).default(30),
  /** how long a blob is left alone after its last use, whatever refers to it; at least that which a put may take to be told */
  KILN_CACHE_GRACE_SECONDS: integer(0, 604_800).default(1_800),
  /** how long tokens live of which nothing else is said, and at most */
  KILN_TOKEN_DEFAULT_DAYS: integer(1, 3_650).default(90),
  KILN_TOKEN_MAX_DAYS: integer(1, 3_650).default(366),
  /** whoever has it may drain builders, and all that KILN_METRICS_TOKEN is good for; without it nobody may */
  KILN_OPERATOR_TOKEN: operatorToken.optional(),
  /** whoever has it may read GET /metrics */
  KILN_METRICS_TOKEN: operatorToken.optional(),
  /** what builders have, for asking registries whether they take what `docker login` was given */
  KILN_EGRESS_ALLOW: list,
  KILN_PLAIN_HTTP: list,
  KILN_REGISTRY_CA: list.transform((items) => items.map(parseAuthorityFile)),
  KILN_CA_BUNDLE: z.string().startsWith('/').optional(),
  /** private addresses that issuers of id tokens may have: host, host:port, address or CIDR */
  KILN_OIDC_EGRESS_ALLOW: list,
  /** at which people sign in to the dashboard, as id tokens name it in iss; without it they do with tokens alone */
  KILN_SIGNIN_OIDC_ISSUER: Issuer.optional(),
  KILN_SIGNIN_OIDC_CLIENT_ID: z.string().min(1).max(500).optional(),
  KILN_SIGNIN_OIDC_CLIENT_SECRET: z.string().min(1).max(2_000).optional(),
  KILN_SIGNIN_OIDC_SCOPES: z
    .string()
    .regex(/^(?:\S+ )*openid(?: \S+)*$/, 'scopes with a blank between, openid among them')
    .default('openid email profile'),
  /** as the button calls it: the issuer's host where it is not said */
  KILN_SIGNIN_OIDC_NAME: Label.optional(),
  /** where people go who name no project */
  KILN_SIGNIN_OIDC_PROJECT: AccessName.optional(),
  /** whom the team takes in that did not know them: example.com=viewer, several separated by commas */
  KILN_SIGNIN_OIDC_ADMIT: z
    .string()
    .default('')
    .transform((text) => commaList(text).map((each) => each.split('=')))
    .pipe(z.array(z.tuple([z.hostname().toLowerCase(), Role.exclude(['owner'])]))),
  /** how long somebody is signed in who came from the issuer */
  KILN_SIGNIN_OIDC_HOURS: integer(1, 168).default(12),
  /** private addresses that receivers of webhooks may have: host, host:port, address or CIDR */
  KILN_WEBHOOK_ALLOW: list,
  /** a webhook of which every try has failed for so long is disabled; 0: never */
  KILN_WEBHOOK_DISABLE_DAYS: integer(0, 365).default(5),
  /** how long to wait before a webhook is sent for the second time, the third, … */
  KILN_WEBHOOK_RETRY_SECONDS: z
    .string()
    .default('5,300,1800,7200,18000,36000,50400,72000,86400')
    .transform((text) => commaList(text).map(Number))
    .pipe(z.array(z.number().min(0).max(604_800)).max(20)),
});

export type ApiConfig = z.infer<typeof ApiEnv>;

/** By what the collector goes. */
export function collectorLimits(config: ApiConfig): CollectorLimits {
  return {
    projectBytes: config.KILN_CACHE_PROJECT_MIB * MIB,
    totalBytes: config.KILN_CACHE_TOTAL_MIB * MIB,
    retentionMs: config.KILN_RETENTION_HOURS * 3_600_000,
    imageRetentionMs: config.KILN_IMAGE_RETENTION_DAYS * DAY_MS,
    graceMs: config.KILN_CACHE_GRACE_SECONDS * 1_000,
  };
}

/** Where people sign in; undefined where the farm has no issuer. @throws KilnError INVALID_ARGUMENT for half of one */
export function signInIssuer(config: ApiConfig): SignInIssuerOptions | undefined {
  const { KILN_SIGNIN_OIDC_ISSUER: issuer, KILN_SIGNIN_OIDC_CLIENT_ID: clientId } = config;
  if (issuer === undefined && clientId === undefined) return undefined;
  if (issuer === undefined || clientId === undefined)
    throw new KilnError('INVALID_ARGUMENT', 'KILN_SIGNIN_OIDC_ISSUER and KILN_SIGNIN_OIDC_CLIENT_ID go together');
  return {
    ...{ issuer, clientId, clientSecret: config.KILN_SIGNIN_OIDC_CLIENT_SECRET },
    scopes: config.KILN_SIGNIN_OIDC_SCOPES,
    redirectUri: `${publicUrl(config)}/v1/session/oidc/callback`,
    signedOutUri: `${publicUrl(config)}/sign-in`,
    egress: { allow: config.KILN_OIDC_EGRESS_ALLOW },
  };
}

/** What people call the issuer at which they sign in. */
export const issuerName = ({
  KILN_SIGNIN_OIDC_ISSUER: issuer,
  KILN_SIGNIN_OIDC_NAME: name,
}: ApiConfig): string | undefined => (issuer === undefined ? undefined : (name ?? new URL(issuer).host));

/** Who of those that come from the issuer is let in. */
export const signInRules = (config: ApiConfig): SignInRules => ({
  project: config.KILN_SIGNIN_OIDC_PROJECT ?? null,
  admit: config.KILN_SIGNIN_OIDC_ADMIT.map(([domain, role]) => ({ domain, role })),
  ttlMs: config.KILN_SIGNIN_OIDC_HOURS * 3_600_000,
});

/** What clients of a project may have sent, as long as it is kept; undefined: no limit. */
export const sentLimitBytes = ({ KILN_SENT_PROJECT_MIB: mib }: ApiConfig): number | undefined =>
  mib === 0 ? undefined : mib * MIB;

/** For how long every try of a webhook may fail. */
export const webhookDisableAfterMs = ({ KILN_WEBHOOK_DISABLE_DAYS: days }: ApiConfig): number | undefined =>
  days === 0 ? undefined : days * DAY_MS;

/** How long tokens that are made over the API live. */
export function tokenLimits({ KILN_TOKEN_DEFAULT_DAYS, KILN_TOKEN_MAX_DAYS }: ApiConfig): TokenLimits {
  return {
    defaultTtlMs: Math.min(KILN_TOKEN_DEFAULT_DAYS, KILN_TOKEN_MAX_DAYS) * DAY_MS,
    maxTtlMs: KILN_TOKEN_MAX_DAYS * DAY_MS,
  };
}

/** What apps/api/src/admin.ts needs of it. */
export const AdminEnv = z.strictObject({
  KILN_DATABASE_URL: ApiEnv.shape.KILN_DATABASE_URL,
  /** the token that `ensure-token` makes known */
  KILN_BOOTSTRAP_TOKEN: z.string().optional(),
});

/** What looks at a farm as a whole needs (apps/api/src/care). */
export const CareEnv = ApiEnv.pick({
  KILN_DATABASE_URL: true,
  KILN_REDIS_URL: true,
  KILN_OBJECT_STORE: true,
  KILN_SECRET_KEY: true,
  KILN_CACHE_GRACE_SECONDS: true,
});
export type CareConfig = z.infer<typeof CareEnv>;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings of a schema; those that are empty count as absent.
 * @throws KilnError INVALID_ARGUMENT naming every variable that is wrong, and no value
 */
export function readConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape, z.core.$strict>,
  env: Environment,
): z.infer<z.ZodObject<Shape, z.core.$strict>> {
  const given = Object.keys(schema.shape).flatMap((key) => {
    const value = env[key];
    return value === undefined || value === '' ? [] : [[key, value] as const];
  });
  const parsed = schema.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new KilnError('INVALID_ARGUMENT', `the environment is not as it should be: ${wrong}`, {
    hint: '.env.example lists all settings',
  });
}

/** Where clients find the API, without a slash at its end. */
export function publicUrl({ KILN_PUBLIC_URL, KILN_API_HOST, KILN_API_PORT }: ApiConfig): string {
  return KILN_PUBLIC_URL ?? `http://${KILN_API_HOST}:${KILN_API_PORT}`;
}

/** Where the dashboard shows a build. */
export const buildUrl = (config: ApiConfig, id: string): string => `${publicUrl(config)}/b/${id}`;

/** Where a project's badge is, once the project shows it. */
export const badgeUrl = (config: ApiConfig, project: string): string =>
  `${publicUrl(config)}/v1/projects/${encodeURIComponent(project)}/badge.svg`;

import { Permission, type TokenRequestInput, type TokenView } from '#protocol';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { cleanLine } from '../progress/log-text.ts';
import { usageError } from '../usage.ts';
import { allPages } from './all-pages.ts';
import { table } from './builds.ts';

interface CommonFlags {
  readonly json?: boolean;
  readonly data?: string;
}
export interface TokenCreateFlags extends CommonFlags {
  readonly permission?: readonly string[];
  readonly project?: string;
  readonly scope?: string;
  readonly member?: string;
  readonly expires?: string;
}
export interface TokenListFlags extends CommonFlags {
  readonly all?: boolean;
}
export type TokenRevokeFlags = CommonFlags;

/** `kiln token create NAME`: the token alone on standard output, for scripts. */
export async function tokenCreate(name: string, flags: TokenCreateFlags): Promise<void> {
  const request = tokenRequest(name, flags);
  await using client = await connect(readConfig(process.env, flags.data));
  const made = await client.access.createToken(request);
  if (flags.json === true) return void process.stdout.write(`${JSON.stringify(made, null, 2)}\n`);
  const until = made.expiresAt === null ? 'never ends' : `ends ${shownTime(made.expiresAt)}`;
  process.stderr.write(`${made.id}: ${made.permissions.join(', ')} in ${made.project}/${made.scope}, ${until}\n`);
  process.stderr.write('it is shown here and never again:\n');
  process.stdout.write(`${made.token}\n`);
}

/** What the flags ask for. */
export function tokenRequest(name: string, flags: TokenCreateFlags): TokenRequestInput {
  const permissions = Permission.array().safeParse(flags.permission ?? ['build', 'read']);
  if (!permissions.success) throw usageError(`--permission is one of ${Permission.options.join(', ')}`);
  const { project, scope, member, expires } = flags;
  return {
    name,
    permissions: permissions.data,
    ...(project === undefined ? {} : { project }),
    ...(scope === undefined ? {} : { scope }),
    ...(member === undefined ? {} : { member }),
    ...(expires === undefined ? {} : { expiresInSeconds: seconds(expires) }),
  };
}

const unitSeconds: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400 };

function seconds(text: string): number {
  const [, number = '', unit = ''] = /^([1-9]\d{0,5})([mhd])$/.exec(text) ?? [];
  const each = unitSeconds[unit];
  if (each === undefined)
    throw usageError(`--expires ${JSON.stringify(text)} is no time`, 'write it as 90m, 12h or 30d');
  return Number(number) * each;
}

const shownTime = (time: string | null): string => time?.replace('T', ' ').slice(0, 16) ?? '–';

/** `kiln token ls` */
export async function tokenLs({ all = false, json, data }: TokenListFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, data));
  const tokens = await allPages(async (page) => {
    const { tokens: items, next } = await client.access.tokens({ ...page, all });
    return { items, next };
  });
  if (json === true) return void process.stdout.write(`${JSON.stringify({ tokens }, null, 2)}\n`);
  const head = ['ID', 'NAME', 'MAY', 'SCOPE', 'WHOSE', 'ENDS', 'LAST USED'];
  process.stdout.write(table([head, ...tokens.map(row)]));
}

function row({ id, name, permissions, project, scope, member, subject, expiresAt, revokedAt, lastUsedAt }: TokenView) {
  return [
    id,
    cleanLine(name, false),
    permissions.join(','),
    `${project}/${scope}`,
    cleanLine(member ?? subject ?? 'the project', false),
    revokedAt === null ? shownTime(expiresAt) : 'revoked',
    shownTime(lastUsedAt),
  ];
}

/** `kiln token revoke ID` */
export async function tokenRevoke(id: string, flags: TokenRevokeFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, flags.data));
  await client.access.revokeToken(id);
  process.stdout.write(flags.json === true ? `${JSON.stringify({ id, revoked: true })}\n` : `${id} is revoked\n`);
}

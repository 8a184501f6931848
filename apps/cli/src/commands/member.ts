import { MemberRequest, type MemberView, Role } from '#protocol';
import { KilnError } from '#std';
import { readConfig } from '../config.ts';
import { connect } from '../farm/connect.ts';
import { cleanLine } from '../progress/log-text.ts';
import { usageError } from '../usage.ts';
import { allPages } from './all-pages.ts';
import { table } from './builds.ts';

export interface MemberFlags {
  readonly json?: boolean;
  readonly data?: string;
}
export interface MemberPutFlags extends MemberFlags {
  readonly role?: string;
  /** false for `--no-email` */
  readonly email?: string | boolean;
}

type Client = Awaited<ReturnType<typeof connect>>;

/** `kiln member create NAME` */
export async function memberCreate(name: string, flags: MemberPutFlags): Promise<void> {
  const asked = askedOf(flags);
  await using client = await connect(readConfig(process.env, flags.data));
  if ((await find(client, name)) !== undefined)
    throw new KilnError('CONFLICT', `${name} is a member already`, { hint: `kiln member update ${name} changes it` });
  const member = await client.access.putMember(name, { ...asked, role: asked.role ?? 'developer' });
  tell(member, flags, 'is a member');
}

/** `kiln member update NAME`: what is not said stays. */
export async function memberUpdate(name: string, flags: MemberPutFlags): Promise<void> {
  const asked = askedOf(flags);
  if (Object.keys(asked).length === 0)
    throw usageError('nothing is to be changed', 'say --role, --email or --no-email');
  await using client = await connect(readConfig(process.env, flags.data));
  if ((await find(client, name)) === undefined)
    throw new KilnError('NOT_FOUND', `there is no member ${name}`, { hint: 'kiln member ls lists them' });
  tell(await client.access.putMember(name, asked), flags, 'is changed');
}

/** `kiln member ls` */
export async function memberLs({ json, data }: MemberFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, data));
  const members = await all(client);
  if (json === true) return void process.stdout.write(`${JSON.stringify({ members }, null, 2)}\n`);
  const rows = members.map(({ name, role, email, subject, createdAt }) => [
    ...[name, role, cleanLine(email ?? 'a token alone', false), email === null || subject !== null ? '' : 'not yet'],
    createdAt.slice(0, 10),
  ]);
  process.stdout.write(table([['NAME', 'ROLE', 'SIGNS IN AS', '', 'SINCE'], ...rows]));
}

/** `kiln member rm NAME` */
export async function memberRm(name: string, { json, data }: MemberFlags): Promise<void> {
  await using client = await connect(readConfig(process.env, data));
  await client.access.removeMember(name);
  const text = json === true ? JSON.stringify({ name, removed: true }) : `${name} is a member no more`;
  process.stdout.write(`${text}\n`);
}

/** @throws KilnError as wrong use of a flag */
function askedOf({ role, email }: MemberPutFlags): MemberRequest {
  const known = Role.optional().safeParse(role);
  if (!known.success) throw usageError(`--role is one of ${Role.options.join(', ')}`);
  const address = MemberRequest.shape.email.safeParse(email === false ? null : email);
  if (!address.success) throw usageError(`--email ${JSON.stringify(email)} is no e-mail address`);
  return {
    ...(known.data === undefined ? {} : { role: known.data }),
    ...(address.data === undefined ? {} : { email: address.data }),
  };
}

const all = (client: Client): Promise<readonly MemberView[]> =>
  allPages(async (page) => {
    const { members: items, next } = await client.access.members(page);
    return { items, next };
  });

const find = async (client: Client, wanted: string): Promise<MemberView | undefined> =>
  (await all(client)).find(({ name }) => name === wanted);

function tell(member: MemberView, { json }: MemberFlags, what: string): void {
  if (json === true) return void process.stdout.write(`${JSON.stringify(member, null, 2)}\n`);
  const { name, role, email } = member;
  const way = email === null ? `kiln token create ${name} --member ${name} makes a token` : `signs in as ${email}`;
  process.stdout.write(`${name} ${what}: ${role}; ${cleanLine(way, false)}\n`);
}

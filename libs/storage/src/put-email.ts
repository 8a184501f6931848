import { KilnError } from '#std';
import { z } from 'zod';
import { audit } from './audit-log.ts';
import type { Sql } from './database.ts';
import type { Principal } from './principal.ts';
import { revokeAll } from './revoke-tokens.ts';

const IdRow = z.object({ id: z.string() });

/**
 * From now on a member signs in as who has this address, whoever it was before.
 * @throws KilnError CONFLICT for an address that another member has
 */
export async function putEmail(
  sql: Sql,
  caller: Principal,
  { id, name, email }: { readonly id: string; readonly name: string; readonly email: string | null },
): Promise<void> {
  const held = 'SELECT 1 FROM members WHERE team_id = $1 AND email = $2 AND id <> $3';
  if ((await sql.execute(held, [caller.teamId, email, id])) > 0)
    throw new KilnError('CONFLICT', 'another member has this address', { field: 'email' });
  await sql.execute('UPDATE members SET email = $2, issuer = NULL, subject = NULL WHERE id = $1', [id, email]);
  // Who was signed in as this member is so no more, and has nothing of what he made of it.
  const browsers = await sql.query(IdRow, 'SELECT id FROM tokens WHERE member_id = $1 AND subject IS NOT NULL', [id]);
  await revokeAll(
    sql,
    caller,
    browsers.map(({ id: tokenId }) => tokenId),
  );
  await audit(sql, caller, { action: 'member.login', target: name, projectId: null, detail: { email } });
}

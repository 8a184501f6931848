import { Permission } from '#protocol';
import type { Random } from '#std';
import type { Sql } from './database.ts';
import type { MemberOfPerson, Person, Place } from './person-members.ts';
import { insertToken } from './token-store.ts';

export interface BrowserToken {
  readonly person: Pick<Person, 'subject'>;
  readonly place: Place;
  readonly member: Pick<MemberOfPerson, 'id'>;
  readonly expiresAt: Date;
  /** the token in whose place it comes */
  readonly madeBy?: string | null;
}

/** Of one member, at a time; the oldest make room. */
const MAX_BROWSERS = 20;

/** A token of a member's own for one browser, which nobody ever sees. @returns its id */
export async function makeBrowserToken(
  sql: Sql,
  random: Random,
  { person, place, member, expiresAt, madeBy }: BrowserToken,
): Promise<string> {
  await sql.execute(
    `UPDATE tokens SET expires_at = now() WHERE id IN (
       SELECT id FROM tokens WHERE member_id = $1 AND subject IS NOT NULL AND revoked_at IS NULL AND expires_at > now()
       ORDER BY created_at DESC OFFSET $2)`,
    [member.id, MAX_BROWSERS - 1],
  );
  const { id } = await insertToken(sql, random, {
    ...{ projectId: place.project_id, scopeId: place.scope_id, memberId: member.id, subject: person.subject },
    ...{ name: 'browser', permissions: Permission.options, expiresAt, madeBy },
  });
  return id;
}

import { z } from 'zod';
import type { Sql } from './database.ts';
import { roleColumn } from './trust.ts';

/** Whom an issuer vouches for. */
export interface Person {
  readonly issuer: string;
  readonly subject: string;
  /** in lower case; null where there is none that the issuer has verified */
  readonly email: string | null;
}

export const MemberOfPerson = z.object({
  id: z.string(),
  name: z.string(),
  team_id: z.string(),
  role: roleColumn,
  /** the subject is the person's */
  own: z.boolean(),
  /** somebody's subject is known */
  known: z.boolean(),
});
export type MemberOfPerson = z.infer<typeof MemberOfPerson>;
const PlaceRow = z.object({ project_id: z.string(), team_id: z.string(), scope_id: z.string() });
export type Place = z.infer<typeof PlaceRow>;

/** Who has the subject, before who has the address alone; then the oldest membership first. */
export async function membersOf(sql: Sql, { issuer, subject, email }: Person): Promise<readonly MemberOfPerson[]> {
  return await sql.query(
    MemberOfPerson,
    `SELECT id, name, team_id, role, coalesce(issuer = $1 AND subject = $2, false) AS own, subject IS NOT NULL AS known
     FROM members WHERE (issuer = $1 AND subject = $2) OR email = $3 ORDER BY own DESC, created_at, id LIMIT 100 FOR UPDATE`,
    [issuer, subject, email],
  );
}

/** A project of one of the teams, and in it the scope that most others inherit. */
export async function placeOf(
  sql: Sql,
  members: readonly MemberOfPerson[],
  { wanted, usual }: { readonly wanted: string | null; readonly usual: string | null },
): Promise<Place | undefined> {
  const [place] = await sql.query(
    PlaceRow,
    `SELECT p.id AS project_id, p.team_id, s.id AS scope_id FROM projects p CROSS JOIN LATERAL (
       SELECT id FROM scopes WHERE project_id = p.id AND parent_id IS NULL ORDER BY trust DESC, created_at, id LIMIT 1) s
     WHERE p.team_id = ANY ($1::text[]) AND ($2::text IS NULL OR p.name = $2)
     ORDER BY p.name = $3 DESC NULLS LAST, p.created_at, p.id LIMIT 1`,
    [members.map(({ team_id: teamId }) => teamId), wanted, usual],
  );
  return place;
}

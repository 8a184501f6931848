import { z } from 'zod';
import { KilnError } from '#std';
import type { Sql } from './database.ts';
import { isAdmin, type Member, type Principal } from './principal.ts';
import { roleColumn } from './trust.ts';

const MAX_MEMBERS = 10_000;
const Count = z.object({ count: z.int() });
const IdRow = z.object({ id: z.string() });
const MemberRow = z.object({ id: z.string(), name: z.string(), role: roleColumn });

/**
 * The project of a name, as far as the caller sees it: his own, and to a member with admin all of his team.
 * @throws KilnError NOT_FOUND
 */
export async function reachableProject(sql: Sql, caller: Principal, name: string | undefined): Promise<string> {
  if (name === undefined || name === caller.project) return caller.projectId;
  const [row] =
    caller.member === null || !isAdmin(caller)
      ? []
      : await sql.query(IdRow, 'SELECT id FROM projects WHERE team_id = $1 AND name = $2', [caller.teamId, name]);
  if (row === undefined)
    throw new KilnError('NOT_FOUND', `there is no project ${JSON.stringify(name)}`, { field: 'project' });
  return row.id;
}

/** He stays one for as long as the transaction lasts. @throws KilnError NOT_FOUND */
export async function findMember(sql: Sql, teamId: string, name: string): Promise<Member> {
  const [row] = await sql.query(
    MemberRow,
    'SELECT id, name, role FROM members WHERE team_id = $1 AND name = $2 FOR KEY SHARE',
    [teamId, name],
  );
  if (row === undefined)
    throw new KilnError('NOT_FOUND', `there is no member ${JSON.stringify(name)}`, { field: 'member' });
  return row;
}

/** Whoever changes members waits for whoever else does: a team is never left without an owner. */
export async function lockTeam(sql: Sql, teamId: string): Promise<void> {
  await sql.execute('SELECT 1 FROM teams WHERE id = $1 FOR NO KEY UPDATE', [teamId]);
}

/** @throws KilnError LIMIT_EXCEEDED */
export async function checkRoom(sql: Sql, teamId: string): Promise<void> {
  const [row] = await sql.query(Count, 'SELECT count(*)::int AS count FROM members WHERE team_id = $1', [teamId]);
  if ((row?.count ?? 0) >= MAX_MEMBERS)
    throw new KilnError('LIMIT_EXCEEDED', `the team has ${MAX_MEMBERS} members already`);
}

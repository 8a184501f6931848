import type { NamePageQuery, ProjectList } from '#protocol';
import { KilnError, type Random } from '#std';
import { z } from 'zod';
import { audit } from './audit-log.ts';
import { makeBrowserToken } from './browser-token.ts';
import type { Database, Sql } from './database.ts';
import { membersOf, placeOf } from './person-members.ts';
import type { Principal } from './principal.ts';
import { paged, ProjectRow, projectView } from './project-row.ts';

const PersonRow = z.object({ issuer: z.string(), subject: z.string() });
const EndRow = z.object({ expires_at: z.date() });
/** Who signed in by this token; nobody by one that was made to be kept. */
const PERSON = `SELECT m.issuer, m.subject FROM tokens t JOIN members m ON m.id = t.member_id
  WHERE t.id = $1 AND t.subject = m.subject`;

/** People who signed in at an issuer and work now in one, now in another project of their teams. */
export class ProjectSwitch {
  readonly #db: Database;
  readonly #random: Random;

  constructor(db: Database, random: Random) {
    this.#db = db;
    this.#random = random;
  }

  /** Where the caller may work without signing in anew; none for who has a token. */
  async projects({ tokenId }: Principal, { limit, cursor }: NamePageQuery): Promise<ProjectList> {
    const rows = await this.#db.query(
      ProjectRow,
      `SELECT p.name, team.name AS team, p.created_at
       FROM (${PERSON}) AS person JOIN members m USING (issuer, subject)
         JOIN projects p ON p.team_id = m.team_id JOIN teams team ON team.id = p.team_id
       WHERE $2::text IS NULL OR p.name > $2 ORDER BY p.name LIMIT $3`,
      [tokenId, cursor ?? null, limit + 1],
    );
    const { page, next } = paged(rows.map(projectView), limit);
    return { projects: page, next };
  }

  /**
   * A token for the caller's browser in another project, with what the person may there. It ends when the one before would have; whoever
   * revokes that ends this too.
   * @returns its id
   * @throws KilnError PERMISSION_DENIED to who has not signed in at an issuer, NOT_FOUND for a project of none of the person's teams,
   *   UNAUTHENTICATED when the token has ended meanwhile
   */
  async move({ tokenId }: Principal, project: string): Promise<string> {
    return await this.#db.transaction(async (sql) => {
      const [person] = await sql.query(PersonRow, PERSON, [tokenId]);
      if (person === undefined) throw notAPerson();
      const members = (await membersOf(sql, { ...person, email: null })).filter(({ own }) => own);
      const expiresAt = await endOf(sql, tokenId);
      const place = await placeOf(sql, members, { wanted: project, usual: null });
      const member = members.find(({ team_id: teamId }) => teamId === place?.team_id);
      if (place === undefined || member === undefined)
        throw new KilnError('NOT_FOUND', `there is no project ${JSON.stringify(project)}`, { field: 'project' });
      const id = await makeBrowserToken(sql, this.#random, { person, place, member, expiresAt, madeBy: tokenId });
      const actor = { tokenId: id, teamId: place.team_id, projectId: place.project_id, member };
      await audit(sql, actor, { action: 'session.move', target: member.name, detail: { ...person } });
      return id;
    });
  }
}

/** Until the transaction's end nobody revokes it: who does so afterwards finds what came in its place. */
async function endOf(sql: Sql, tokenId: string | null): Promise<Date> {
  const [row] = await sql.query(
    EndRow,
    'SELECT expires_at FROM tokens WHERE id = $1 AND revoked_at IS NULL AND expires_at > now() FOR SHARE',
    [tokenId],
  );
  if (row === undefined) throw new KilnError('UNAUTHENTICATED', 'the session has ended', { hint: 'sign in again' });
  return row.expires_at;
}

const notAPerson = (): KilnError =>
  new KilnError('PERMISSION_DENIED', 'this session stands for a token, which is of one project', {
    hint: 'sign in with a token of the other project',
  });

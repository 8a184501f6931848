import { Permission, type Role } from '#protocol';
import { type Clock, KilnError, type Random, randomId } from '#std';
import { z } from 'zod';
import { audit } from './audit-log.ts';
import type { Database, Sql } from './database.ts';
import { operator } from './project-store.ts';
import { checkRoom, lockTeam } from './team-rows.ts';
import { insertToken } from './token-store.ts';
import { rankOfRole, roleColumn } from './trust.ts';

/** Whom an issuer vouches for. */
export interface Person {
  readonly issuer: string;
  readonly subject: string;
  /** in lower case; null where there is none that the issuer has verified */
  readonly email: string | null;
}

export interface SignInRules {
  /** where people go who name no project; null: their oldest */
  readonly project: string | null;
  /** whom the team takes in that did not know them, by what follows the @ of the address */
  readonly admit: readonly { readonly domain: string; readonly role: Role }[];
  readonly ttlMs: number;
}

/**
 * `unknown`: no member has this address or subject; `unverified`: it has none, and there is no verified address to go by; `taken`:
 * the member with this address is somebody else at the issuer; `project`: the person is in no team with such a project
 */
export type Refusal = 'unknown' | 'unverified' | 'taken' | 'project';
export type Entered = { readonly tokenId: string } | { readonly refused: Refusal };

export interface SignInsOptions {
  readonly db: Database;
  readonly random: Random;
  readonly clock: Clock;
  readonly rules: SignInRules;
}

/** Of one member, at a time. */
const MAX_BROWSERS = 20;
const ID_LENGTH = 16;
const MemberRow = z.object({
  id: z.string(),
  name: z.string(),
  team_id: z.string(),
  role: roleColumn,
  own: z.boolean(),
  known: z.boolean(),
});
type MemberRow = z.infer<typeof MemberRow>;
const PlaceRow = z.object({ project_id: z.string(), team_id: z.string(), scope_id: z.string() });
const IdRow = z.object({ id: z.string() });

/** People who come from an issuer as members: each browser gets a token of the member's own, which nobody ever sees. */
export class SignIns {
  readonly #options: SignInsOptions;

  constructor(options: SignInsOptions) {
    this.#options = options;
  }

  /** @param wanted name of a project */
  async enter(person: Person, wanted: string | null): Promise<Entered> {
    const { db, rules } = this.#options;
    return await db.transaction(async (sql) => {
      const known = await membersOf(sql, person);
      const found = known.length > 0 ? known : await this.#admit(sql, person);
      const members = found.filter(({ own, known: bound }) => own || !bound);
      if (members.length === 0)
        return { refused: found.length > 0 ? 'taken' : person.email === null ? 'unverified' : 'unknown' };
      const place = await placeOf(sql, members, { wanted, usual: rules.project });
      const member = members.find(({ team_id: teamId }) => teamId === place?.team_id);
      if (place === undefined || member === undefined) return { refused: 'project' };
      return { tokenId: await this.#begin(sql, person, { place, member }) };
    });
  }

  async #begin(
    sql: Sql,
    { issuer, subject }: Person,
    { place, member }: { readonly place: z.infer<typeof PlaceRow>; readonly member: MemberRow },
  ): Promise<string> {
    const { random, clock, rules } = this.#options;
    // From the first time on the address alone is not enough: whoever gets it later is somebody else.
    if (!member.own)
      await sql.execute('UPDATE members SET issuer = $2, subject = $3 WHERE id = $1', [member.id, issuer, subject]);
    await sql.execute(
      `UPDATE tokens SET expires_at = now() WHERE id IN (
         SELECT id FROM tokens WHERE member_id = $1 AND subject IS NOT NULL AND revoked_at IS NULL AND expires_at > now()
         ORDER BY created_at DESC OFFSET $2)`,
      [member.id, MAX_BROWSERS - 1],
    );
    const { id } = await insertToken(sql, random, {
      ...{ projectId: place.project_id, scopeId: place.scope_id, memberId: member.id, subject },
      ...{ name: 'browser', permissions: Permission.options },
      expiresAt: new Date(clock.nowMs() + rules.ttlMs),
    });
    const actor = { tokenId: id, teamId: member.team_id, projectId: place.project_id, member };
    const detail = { issuer, subject, first: !member.own };
    await audit(sql, actor, { action: 'session.begin', target: member.name, detail });
    return id;
  }

  /** Takes in who comes from where people may. */
  async #admit(sql: Sql, { issuer, subject, email }: Person): Promise<readonly MemberRow[]> {
    const { random, rules } = this.#options;
    const rule = rules.admit.find(({ domain }) => email?.split('@').at(-1) === domain);
    if (rule === undefined || email === null) return [];
    const [team] = await sql.query(
      z.object({ team_id: z.string(), id: z.string() }),
      `SELECT team_id, id FROM projects WHERE ($1::text IS NULL AND team_id = 'default') OR name = $1
       ORDER BY created_at LIMIT 1`,
      [rules.project],
    );
    if (team === undefined) return [];
    await lockTeam(sql, team.team_id);
    // Another of his browsers may have come first.
    const since = await membersOf(sql, { issuer, subject, email });
    if (since.length > 0) return since;
    await checkRoom(sql, team.team_id);
    for (const name of [...namesFor(email), `member-${randomId(random, ID_LENGTH)}`]) {
      const [made] = await sql.query(
        IdRow,
        `INSERT INTO members (team_id, id, name, role, email, issuer, subject) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT DO NOTHING RETURNING id`,
        [team.team_id, randomId(random, ID_LENGTH), name, rankOfRole(rule.role), email, issuer, subject],
      );
      if (made === undefined) continue;
      const detail = { role: rule.role, before: null, email, rule: rule.domain };
      await audit(sql, operator(team.team_id, team.id), {
        action: 'member.put',
        target: name,
        projectId: null,
        detail,
      });
      return [{ id: made.id, name, team_id: team.team_id, role: rule.role, own: true, known: true }];
    }
    throw new KilnError('CONFLICT', 'somebody is being taken in with this address already', { hint: 'sign in again' });
  }
}

/** Who has the subject, before who has the address alone; then the oldest membership first. */
async function membersOf(sql: Sql, { issuer, subject, email }: Person): Promise<readonly MemberRow[]> {
  return await sql.query(
    MemberRow,
    `SELECT id, name, team_id, role, coalesce(issuer = $1 AND subject = $2, false) AS own, subject IS NOT NULL AS known
     FROM members WHERE (issuer = $1 AND subject = $2) OR email = $3 ORDER BY own DESC, created_at, id LIMIT 100 FOR UPDATE`,
    [issuer, subject, email],
  );
}

/** A project of one of the teams, and in it the scope that most others inherit. */
async function placeOf(
  sql: Sql,
  members: readonly MemberRow[],
  { wanted, usual }: { readonly wanted: string | null; readonly usual: string | null },
): Promise<z.infer<typeof PlaceRow> | undefined> {
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

/** `ada`, and where another is called so `ada.example.com`. */
function namesFor(email: string): readonly string[] {
  const plain = (text: string): string =>
    text
      .replaceAll(/[^a-z0-9._-]/g, '-')
      .replace(/^[^a-z0-9]+/, '')
      .slice(0, 128);
  return [plain(email.replace(/@.*/, '')), plain(email.replace('@', '.'))].filter((name) => name !== '');
}

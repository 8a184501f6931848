import type { Role } from '#protocol';
import { type Clock, KilnError, type Random, randomId } from '#std';
import { z } from 'zod';
import { audit } from './audit-log.ts';
import { makeBrowserToken } from './browser-token.ts';
import type { Database, Sql } from './database.ts';
import { type MemberOfPerson, membersOf, type Person, placeOf } from './person-members.ts';
import { operator } from './project-store.ts';
import { checkRoom, lockTeam } from './team-rows.ts';
import { rankOfRole } from './trust.ts';

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

const ID_LENGTH = 16;
const IdRow = z.object({ id: z.string() });

/** People who come from an issuer as members: each browser gets a token of the member's own, which nobody ever sees. */
export class SignIns {
  readonly #options: SignInsOptions;

  constructor(options: SignInsOptions) {
    this.#options = options;
  }

  /** @param wanted name of a project */
  async enter(person: Person, wanted: string | null): Promise<Entered> {
    const { db, random, clock, rules } = this.#options;
    return await db.transaction(async (sql) => {
      const known = await membersOf(sql, person);
      const found = known.length > 0 ? known : await this.#admit(sql, person);
      const members = found.filter(({ own, known: bound }) => own || !bound);
      if (members.length === 0)
        return { refused: found.length > 0 ? 'taken' : person.email === null ? 'unverified' : 'unknown' };
      const place = await placeOf(sql, members, { wanted, usual: rules.project });
      const member = members.find(({ team_id: teamId }) => teamId === place?.team_id);
      if (place === undefined || member === undefined) return { refused: 'project' };
      const { issuer, subject } = person;
      // From the first time on the address alone is not enough: whoever gets it later is somebody else.
      if (!member.own)
        await sql.execute('UPDATE members SET issuer = $2, subject = $3 WHERE id = $1', [member.id, issuer, subject]);
      const expiresAt = new Date(clock.nowMs() + rules.ttlMs);
      const tokenId = await makeBrowserToken(sql, random, { person, place, member, expiresAt });
      const actor = { tokenId, teamId: member.team_id, projectId: place.project_id, member };
      const detail = { issuer, subject, first: !member.own };
      await audit(sql, actor, { action: 'session.begin', target: member.name, detail });
      return { tokenId };
    });
  }

  /** Takes in who comes from where people may. */
  async #admit(sql: Sql, { issuer, subject, email }: Person): Promise<readonly MemberOfPerson[]> {
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

/** `ada`, and where another is called so `ada.example.com`. */
function namesFor(email: string): readonly string[] {
  const plain = (text: string): string =>
    text
      .replaceAll(/[^a-z0-9._-]/g, '-')
      .replace(/^[^a-z0-9]+/, '')
      .slice(0, 128);
  return [plain(email.replace(/@.*/, '')), plain(email.replace('@', '.'))].filter((name) => name !== '');
}

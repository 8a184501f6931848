import type {
  MemberList,
  MemberRequest,
  MemberView,
  NamePageQuery,
  ProjectList,
  ProjectRequest,
  ProjectView,
  Role,
  ScopeList,
  ScopeRequest,
  ScopeView,
} from '#protocol';
import { KilnError, type Random, randomId, systemRandom } from '#std';
import { z } from 'zod';
import { type Actor, audit } from './audit-log.ts';
import type { Database, Sql } from './database.ts';
import { ownsTeam, type Principal } from './principal.ts';
import { putEmail } from './put-email.ts';
import { paged, ProjectRow, projectView } from './project-row.ts';
import { insertProject, operator } from './project-store.ts';
import { checkName, ensureScope, getScope, listScopes, usualTrust } from './scopes.ts';
import { checkRoom, findMember, lockTeam } from './team-rows.ts';
import { rankOf, rankOfRole, roleColumn } from './trust.ts';

const ID_LENGTH = 16;
const MemberRow = z.object({
  name: z.string(),
  role: roleColumn,
  email: z.string().nullable(),
  subject: z.string().nullable(),
  created_at: z.date(),
});
const memberColumns = 'name, role, email, subject, created_at';

const memberView = ({ created_at: createdAt, ...row }: z.infer<typeof MemberRow>): MemberView => ({
  ...row,
  createdAt: createdAt.toISOString(),
});

/** A team's projects and members, and the scopes of a project. */
export class TeamStore {
  readonly #db: Database;
  readonly #random: Random;

  constructor(db: Database, random: Random = systemRandom) {
    this.#db = db;
    this.#random = random;
  }

  /** To a member all of the team, else the caller's own. */
  async projects({ teamId, projectId, member }: Principal, { limit, cursor }: NamePageQuery): Promise<ProjectList> {
    const rows = await this.#db.query(
      ProjectRow,
      `SELECT p.name, t.name AS team, p.created_at FROM projects p JOIN teams t ON t.id = p.team_id
       WHERE p.team_id = $1 AND ($2 OR p.id = $3) AND ($4::text IS NULL OR p.name > $4) ORDER BY p.name LIMIT $5`,
      [teamId, member !== null, projectId, cursor ?? null, limit + 1],
    );
    const { page, next } = paged(rows.map(projectView), limit);
    return { projects: page, next };
  }

  /** @throws KilnError PERMISSION_DENIED to who does not own the team, CONFLICT when the name is taken */
  async createProject(caller: Principal, { name, scope }: ProjectRequest): Promise<ProjectView> {
    checkOwner(caller);
    return await this.#db.transaction(async (sql) => {
      if ((await sql.execute('SELECT 1 FROM projects WHERE name = $1', [name])) > 0) throw taken(name);
      const { id: projectId, teamId } = await insertProject(sql, this.#random, name, caller.teamId);
      if (teamId !== caller.teamId) throw taken(name);
      await audit(sql, caller, { action: 'project.create', target: name, projectId });
      await ensureScope(sql, { random: this.#random, actor: caller }, { projectId, name: scope, trust: 'protected' });
      const [row] = await sql.query(
        ProjectRow,
        'SELECT p.name, t.name AS team, p.created_at FROM projects p JOIN teams t ON t.id = p.team_id WHERE p.id = $1',
        [projectId],
      );
      if (row === undefined) throw new KilnError('INTERNAL', 'a project is not there once it was made');
      return projectView(row);
    });
  }

  /** @throws KilnError PERMISSION_DENIED to whom is no member */
  async members({ teamId, member }: Principal, { limit, cursor }: NamePageQuery): Promise<MemberList> {
    if (member === null) throw new KilnError('PERMISSION_DENIED', 'only members see who else is in the team');
    const rows = await this.#db.query(
      MemberRow,
      `SELECT ${memberColumns} FROM members WHERE team_id = $1 AND ($2::text IS NULL OR name > $2)
       ORDER BY name LIMIT $3`,
      [teamId, cursor ?? null, limit + 1],
    );
    const { page, next } = paged(rows.map(memberView), limit);
    return { members: page, next };
  }

  /**
   * Makes somebody a member, or changes the role and by what he signs in.
   * @throws KilnError PERMISSION_DENIED, CONFLICT for the last owner, and for an address that another member has, INVALID_ARGUMENT for
   *   somebody new without a role
   */
  async putMember(caller: Principal, name: string, { role: wanted, email }: MemberRequest): Promise<MemberView> {
    checkOwner(caller);
    return await this.#db.transaction(async (sql) => {
      await lockTeam(sql, caller.teamId);
      const before = await roleOf(sql, caller.teamId, name);
      if (before === undefined) await checkRoom(sql, caller.teamId);
      const role = wanted ?? before;
      if (role === undefined) throw noRole(name);
      if (before === 'owner' && role !== 'owner') await checkOtherOwner(sql, caller.teamId, name);
      const id = await this.#putMember(sql, caller, name, role);
      if (email !== undefined) await putEmail(sql, caller, { id, name, email });
      const [row] = await sql.query(MemberRow, `SELECT ${memberColumns} FROM members WHERE id = $1`, [id]);
      if (row === undefined) throw new KilnError('INTERNAL', 'a member is not there once it was made');
      return memberView(row);
    });
  }

  /** Ends a membership, and with it the member's own tokens. @throws KilnError PERMISSION_DENIED, NOT_FOUND, CONFLICT */
  async removeMember(caller: Principal, name: string): Promise<void> {
    checkOwner(caller);
    await this.#db.transaction(async (sql) => {
      await lockTeam(sql, caller.teamId);
      const { id, role } = await findMember(sql, caller.teamId, name);
      if (role === 'owner') await checkOtherOwner(sql, caller.teamId, name);
      await sql.execute('DELETE FROM members WHERE id = $1', [id]);
      await audit(sql, caller, { action: 'member.remove', target: name, projectId: null, detail: { role } });
    });
  }

  /**
   * Of the operator: a member with a role of a project's team, whatever was before.
   * @returns the member's id
   * @throws KilnError INVALID_ARGUMENT for a bad name
   */
  async ensureMember(
    { teamId, projectId }: { readonly teamId: string; readonly projectId: string },
    name: string,
    role: Role,
  ): Promise<string> {
    checkName('member', name);
    return await this.#db.transaction(async (sql) => {
      await lockTeam(sql, teamId);
      return await this.#putMember(sql, operator(teamId, projectId), name, role);
    });
  }

  async #putMember(sql: Sql, actor: Actor, name: string, role: Role): Promise<string> {
    const { teamId } = actor;
    const before = await roleOf(sql, teamId, name);
    const id = await upsertMember(sql, this.#random, { teamId, name, role });
    if (before !== role) {
      const detail = { role, before: before ?? null };
      await audit(sql, actor, { action: 'member.put', target: name, projectId: null, detail });
    }
    return id;
  }

  async scopes({ projectId }: Principal, { limit, cursor }: NamePageQuery): Promise<ScopeList> {
    const rows = await listScopes(this.#db, projectId, { limit: limit + 1, after: cursor });
    const { page, next } = paged(rows, limit);
    return { scopes: page, next };
  }

  /** @throws KilnError PERMISSION_DENIED for one that is trusted further than the caller's own; as {@link ensureScope} */
  async createScope(caller: Principal, { name, parent, trust }: ScopeRequest): Promise<ScopeView> {
    const { projectId } = caller;
    return await this.#db.transaction(async (sql) => {
      const above = parent === undefined ? undefined : await getScope(sql, projectId, parent, 'parent');
      const wanted = trust ?? usualTrust(above?.trust);
      if (rankOf(wanted) > rankOf(caller.trust)) {
        throw new KilnError(
          'PERMISSION_DENIED',
          `this token’s own scope is trusted as ${caller.trust}: it cannot make one trusted as ${wanted}`,
          { field: 'trust' },
        );
      }
      await ensureScope(sql, { random: this.#random, actor: caller }, { projectId, name, parent, trust });
      const [made] = await listScopes(sql, projectId, { limit: 1, name });
      if (made === undefined) throw new KilnError('INTERNAL', 'a scope is not there once it was made');
      return made;
    });
  }
}

const noRole = (name: string): KilnError =>
  new KilnError('INVALID_ARGUMENT', `${name} is no member yet: one has a role`, {
    field: 'role',
    hint: 'say viewer, developer, maintainer or owner',
  });

function checkOwner(caller: Principal): void {
  if (ownsTeam(caller)) return;
  throw new KilnError('PERMISSION_DENIED', 'only an owner of the team may do that', {
    hint: 'use an owner’s own token with the permission admin',
  });
}

const taken = (name: string): KilnError =>
  new KilnError('CONFLICT', `the name ${name} is taken`, { field: 'name', hint: 'choose another' });

async function roleOf(sql: Sql, teamId: string, name: string): Promise<Role | undefined> {
  const [row] = await sql.query(
    MemberRow.pick({ role: true }),
    'SELECT role FROM members WHERE team_id = $1 AND name = $2',
    [teamId, name],
  );
  return row?.role;
}

async function checkOtherOwner(sql: Sql, teamId: string, name: string): Promise<void> {
  const others = await sql.execute('SELECT 1 FROM members WHERE team_id = $1 AND role = $2 AND name <> $3 LIMIT 1', [
    teamId,
    rankOfRole('owner'),
    name,
  ]);
  if (others === 0)
    throw new KilnError('CONFLICT', `${name} is the team’s last owner`, { hint: 'make another one first' });
}

async function upsertMember(
  sql: Sql,
  random: Random,
  { teamId, name, role }: { readonly teamId: string; readonly name: string; readonly role: Role },
): Promise<string> {
  await sql.execute(
    `INSERT INTO members (team_id, id, name, role) VALUES ($1, $2, $3, $4)
     ON CONFLICT (team_id, name) DO UPDATE SET role = excluded.role`,
    [teamId, randomId(random, ID_LENGTH), name, rankOfRole(role)],
  );
  return (await findMember(sql, teamId, name)).id;
}

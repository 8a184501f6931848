import { z } from 'zod';
import { KilnError, type Random, randomId, systemRandom } from '#std';
import { type Actor, audit } from './audit-log.ts';
import type { Database, Sql } from './database.ts';
import { checkName, ensureScope, getScope, type NewScope } from './scopes.ts';

const ID_LENGTH = 16;
const MAX_QUEUED = 10_000;
export const DEFAULT_TEAM = 'default';
const ProjectRow = z
  .object({ id: z.string(), team_id: z.string() })
  .transform(({ id, team_id: teamId }) => ({ id, teamId }));
type ProjectRow = z.infer<typeof ProjectRow>;

export interface ProjectIds {
  readonly projectId: string;
  readonly scopeId: string;
}

/** Projects, their scopes, and which of these other projects read: what the farm's operator does at its database. */
export class ProjectStore {
  readonly #db: Database;
  readonly #random: Random;

  constructor(db: Database, random: Random = systemRandom) {
    this.#db = db;
    this.#random = random;
  }

  /**
   * The project and the scope of these names, made where they are not there, the project in the team `default`.
   * @throws KilnError as {@link ensureScope}
   */
  async ensure(
    project: string,
    scope: string,
    options: NewScope = {},
  ): Promise<ProjectIds & { readonly teamId: string }> {
    checkName('project', project);
    return await this.#db.transaction(async (sql) => {
      const { id: projectId, teamId } = await insertProject(sql, this.#random, project, DEFAULT_TEAM);
      const by = { random: this.#random, actor: operator(teamId, projectId) };
      const { id: scopeId } = await ensureScope(sql, by, { ...options, projectId, name: scope });
      return { projectId, scopeId, teamId };
    });
  }

  /**
   * How many builds of a project run at once (null: as many as there are builders for) and may wait.
   * @throws KilnError NOT_FOUND
   */
  async limit(
    project: string,
    {
      maxRunning,
      maxQueued = MAX_QUEUED,
    }: { readonly maxRunning: number | null; readonly maxQueued?: number | undefined },
  ): Promise<{ readonly project: string; readonly maxRunning: number | null; readonly maxQueued: number }> {
    return await this.#db.transaction(async (sql) => {
      const { id: projectId, teamId } = await getProject(sql, project);
      await sql.execute('UPDATE projects SET max_running = $2, max_queued = $3 WHERE id = $1', [
        ...[projectId, maxRunning, maxQueued],
      ]);
      const detail = { maxRunning, maxQueued };
      await audit(sql, operator(teamId, projectId), { action: 'project.limit', target: project, detail });
      return { project, maxRunning, maxQueued };
    });
  }

  /**
   * Lets another project's builds read what is in a scope, where it is trusted as far as their own. Harmless when they may.
   * @throws KilnError NOT_FOUND for an unknown project or scope, INVALID_ARGUMENT for the project itself
   */
  async share({ project, scope, reader }: Share): Promise<void> {
    if (project === reader)
      throw new KilnError('INVALID_ARGUMENT', `the project ${project} reads its own scopes already`);
    await this.#db.transaction(async (sql) => {
      const { id: projectId, teamId } = await getProject(sql, project);
      const given = await sql.execute(
        'INSERT INTO cache_shares (project_id, scope_id, reader_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
        [projectId, (await getScope(sql, projectId, scope)).id, (await getProject(sql, reader)).id],
      );
      if (given > 0)
        await audit(sql, operator(teamId, projectId), { action: 'cache.share', target: scope, detail: { reader } });
    });
  }

  /**
   * Takes a share back: builds that begin from now on do not read it. What they have taken is theirs.
   * @returns whether there was one
   */
  async unshare({ project, scope, reader }: Share): Promise<boolean> {
    return await this.#db.transaction(async (sql) => {
      const { id: projectId, teamId } = await getProject(sql, project);
      const taken = await sql.execute(
        'DELETE FROM cache_shares WHERE project_id = $1 AND scope_id = $2 AND reader_id = $3',
        [projectId, (await getScope(sql, projectId, scope)).id, (await getProject(sql, reader)).id],
      );
      if (taken > 0)
        await audit(sql, operator(teamId, projectId), { action: 'cache.unshare', target: scope, detail: { reader } });
      return taken > 0;
    });
  }
}

export interface Share {
  /** whose scope it is */
  readonly project: string;
  readonly scope: string;
  /** whose builds read it */
  readonly reader: string;
}

/** Who does what the farm's operator does. */
export const operator = (teamId: string, projectId: string): Actor => ({
  teamId,
  projectId,
  tokenId: null,
  member: null,
});

/** The project of a name, made in a team where there is none; it may be another team's. */
export async function insertProject(sql: Sql, random: Random, name: string, teamId: string): Promise<ProjectRow> {
  await sql.execute('INSERT INTO projects (id, name, team_id) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING', [
    randomId(random, ID_LENGTH),
    name,
    teamId,
  ]);
  return await getProject(sql, name);
}

async function getProject(sql: Sql, name: string): Promise<ProjectRow> {
  const [row] = await sql.query(ProjectRow, 'SELECT id, team_id FROM projects WHERE name = $1', [name]);
  if (row === undefined) throw new KilnError('NOT_FOUND', `there is no project ${JSON.stringify(name)}`);
  return row;
}

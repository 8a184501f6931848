import { z } from 'zod';
import { KilnError, type Random, randomId, systemRandom } from '#std';
import type { ScopeRef } from './claim.ts';
import type { Database, Sql } from './database.ts';

const ID_LENGTH = 16;
/** Inherited scopes, the own included. */
const MAX_SCOPES = 16;
const Id = z.object({ id: z.string() });
const ScopeName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/, 'letters, digits, and . _ / -');

export interface ProjectIds {
  readonly projectId: string;
  readonly scopeId: string;
}

/** Projects and their scopes. */
export class ProjectStore {
  readonly #db: Database;
  readonly #random: Random;

  constructor(db: Database, random: Random = systemRandom) {
    this.#db = db;
    this.#random = random;
  }

  /**
   * The project and the scope of these names, made where they are not there. A new scope inherits from `parentScope`.
   * @throws KilnError INVALID_ARGUMENT for a bad name, NOT_FOUND for an unknown parent, CONFLICT when the scope inherits otherwise
   */
  async ensure(project: string, scope: string, parentScope?: string): Promise<ProjectIds> {
    for (const [field, name] of Object.entries({ project, scope })) {
      if (!ScopeName.safeParse(name).success) {
        throw new KilnError('INVALID_ARGUMENT', `not a name of a ${field}: ${JSON.stringify(name)}`, { field });
      }
    }
    return await this.#db.transaction(async (sql) => {
      const projectId = await this.#project(sql, project);
      const parentId = parentScope === undefined ? null : await parentOf(sql, projectId, parentScope);
      return { projectId, scopeId: await this.#scope(sql, projectId, scope, parentId) };
    });
  }

  async #project(sql: Sql, name: string): Promise<string> {
    const id = randomId(this.#random, ID_LENGTH);
    await sql.execute('INSERT INTO projects (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING', [id, name]);
    const [row] = await sql.query(Id, 'SELECT id FROM projects WHERE name = $1', [name]);
    if (row === undefined) throw new KilnError('INTERNAL', `the project ${name} is not there`);
    return row.id;
  }

  async #scope(sql: Sql, projectId: string, name: string, parentId: string | null): Promise<string> {
    await sql.execute(
      `INSERT INTO scopes (project_id, id, name, parent_id) VALUES ($1, $2, $3, $4)
       ON CONFLICT (project_id, name) DO NOTHING`,
      [projectId, randomId(this.#random, ID_LENGTH), name, parentId],
    );
    const row = await findScope(sql, projectId, name);
    if (parentId !== null && row.parent_id !== parentId) {
      throw new KilnError('CONFLICT', `the scope ${name} is there already and inherits from another scope`);
    }
    return row.id;
  }
}

const ScopeRow = z.object({ id: z.string(), parent_id: z.string().nullable() });

async function findScope(sql: Sql, projectId: string, name: string): Promise<z.infer<typeof ScopeRow>> {
  const [row] = await sql.query(ScopeRow, 'SELECT id, parent_id FROM scopes WHERE project_id = $1 AND name = $2', [
    projectId,
    name,
  ]);
  if (row === undefined) throw new KilnError('NOT_FOUND', `there is no scope ${JSON.stringify(name)} in the project`);
  return row;
}

async function parentOf(sql: Sql, projectId: string, name: string): Promise<string> {
  return (await findScope(sql, projectId, name)).id;
}

const ChainRow = z.object({ id: z.string(), name: z.string() });

/** A scope and those that it inherits, the nearest first. */
export async function scopeChain(sql: Sql, projectId: string, scopeId: string): Promise<[ScopeRef, ...ScopeRef[]]> {
  const [own, ...inherited] = await sql.query(
    ChainRow,
    `WITH RECURSIVE chain AS (
       SELECT id, name, parent_id, 1 AS depth FROM scopes WHERE project_id = $1 AND id = $2
       UNION ALL
       SELECT s.id, s.name, s.parent_id, c.depth + 1 FROM scopes s JOIN chain c ON s.id = c.parent_id
       WHERE s.project_id = $1 AND c.depth < $3)
     SELECT id, name FROM chain ORDER BY depth`,
    [projectId, scopeId, MAX_SCOPES],
  );
  if (own === undefined) throw new KilnError('NOT_FOUND', `there is no scope ${scopeId}`);
  return [own, ...inherited];
}

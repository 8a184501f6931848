import { z } from 'zod';
import { KilnError, type Random, randomId, systemRandom } from '#std';
import type { Claim } from './claim.ts';
import type { Database, Sql } from './database.ts';
import type { Trust } from './trust.ts';
import { rankOf, trustColumn } from './trust.ts';

const ID_LENGTH = 16;
/** Inherited scopes, the own included; and as many shared ones. */
const MAX_SCOPES = 16;
const Id = z.object({ id: z.string() });
const ScopeName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/, 'letters, digits, and . _ / -');

export interface ProjectIds {
  readonly projectId: string;
  readonly scopeId: string;
}

export interface NewScope {
  /** name of the scope that it inherits */
  readonly parent?: string | undefined;
  /** `protected` where nothing else is said, `branch` (or as far as its parent) where it inherits */
  readonly trust?: Trust | undefined;
}

/** Projects, their scopes, and which of these other projects read. */
export class ProjectStore {
  readonly #db: Database;
  readonly #random: Random;

  constructor(db: Database, random: Random = systemRandom) {
    this.#db = db;
    this.#random = random;
  }

  /**
   * The project and the scope of these names, made where they are not there. What a scope inherits, and how far it is trusted,
   * is never changed: what is in it was written under it.
   * @throws KilnError INVALID_ARGUMENT for a bad name or a parent that is trusted less, NOT_FOUND for an unknown parent,
   *   CONFLICT when the scope is there and is another
   */
  async ensure(project: string, scope: string, { parent, trust }: NewScope = {}): Promise<ProjectIds> {
    for (const [field, name] of Object.entries({ project, scope })) {
      if (!ScopeName.safeParse(name).success) {
        throw new KilnError('INVALID_ARGUMENT', `not a name of a ${field}: ${JSON.stringify(name)}`, { field });
      }
    }
    return await this.#db.transaction(async (sql) => {
      const projectId = await this.#project(sql, project);
      const above = parent === undefined ? undefined : await getScope(sql, projectId, parent);
      const known = await findScope(sql, projectId, scope);
      const made = known ?? (await this.#scope(sql, { projectId, name: scope, above, trust }));
      if (above !== undefined && made.parentId !== above.id)
        throw new KilnError('CONFLICT', `the scope ${scope} is there already and inherits from another scope`);
      if (trust !== undefined && made.trust !== trust) {
        throw new KilnError('CONFLICT', `the scope ${scope} is there already, trusted as ${made.trust}`, {
          hint: 'what is in it was written under that: make a scope of another name',
        });
      }
      return { projectId, scopeId: made.id };
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
      const projectId = await getProject(sql, project);
      await sql.execute(
        'INSERT INTO cache_shares (project_id, scope_id, reader_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
        [projectId, (await getScope(sql, projectId, scope)).id, await getProject(sql, reader)],
      );
    });
  }

  /**
   * Takes a share back: builds that begin from now on do not read it. What they have taken is theirs.
   * @returns whether there was one
   */
  async unshare({ project, scope, reader }: Share): Promise<boolean> {
    return await this.#db.transaction(async (sql) => {
      const projectId = await getProject(sql, project);
      const taken = await sql.execute(
        'DELETE FROM cache_shares WHERE project_id = $1 AND scope_id = $2 AND reader_id = $3',
        [projectId, (await getScope(sql, projectId, scope)).id, await getProject(sql, reader)],
      );
      return taken > 0;
    });
  }

  async #project(sql: Sql, name: string): Promise<string> {
    const id = randomId(this.#random, ID_LENGTH);
    await sql.execute('INSERT INTO projects (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING', [id, name]);
    return await getProject(sql, name);
  }

  async #scope(sql: Sql, { projectId, name, above, trust }: ScopeToMake): Promise<ScopeRow> {
    const usual: Trust =
      above === undefined ? 'protected' : rankOf(above.trust) < rankOf('branch') ? above.trust : 'branch';
    const given = trust ?? usual;
    if (above !== undefined && rankOf(above.trust) < rankOf(given)) {
      throw new KilnError(
        'INVALID_ARGUMENT',
        `a scope trusted as ${given} cannot inherit one trusted as ${above.trust}`,
        {
          field: 'parent',
          hint: 'trust flows down: a scope inherits what is trusted as far as itself, or further',
        },
      );
    }
    await sql.execute(
      `INSERT INTO scopes (project_id, id, name, parent_id, parent_trust, trust) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (project_id, name) DO NOTHING`,
      [
        projectId,
        randomId(this.#random, ID_LENGTH),
        name,
        above?.id ?? null,
        above === undefined ? null : rankOf(above.trust),
        rankOf(given),
      ],
    );
    return await getScope(sql, projectId, name);
  }
}

export interface Share {
  /** whose scope it is */
  readonly project: string;
  readonly scope: string;
  /** whose builds read it */
  readonly reader: string;
}

interface ScopeToMake {
  readonly projectId: string;
  readonly name: string;
  readonly above: ScopeRow | undefined;
  readonly trust: Trust | undefined;
}

const ScopeRow = z
  .object({ id: z.string(), parent_id: z.string().nullable(), trust: trustColumn })
  .transform(({ parent_id: parentId, ...row }) => ({ ...row, parentId }));
type ScopeRow = z.infer<typeof ScopeRow>;

async function getProject(sql: Sql, name: string): Promise<string> {
  const [row] = await sql.query(Id, 'SELECT id FROM projects WHERE name = $1', [name]);
  if (row === undefined) throw new KilnError('NOT_FOUND', `there is no project ${JSON.stringify(name)}`);
  return row.id;
}

async function findScope(sql: Sql, projectId: string, name: string): Promise<ScopeRow | undefined> {
  const [row] = await sql.query(
    ScopeRow,
    'SELECT id, parent_id, trust FROM scopes WHERE project_id = $1 AND name = $2',
    [projectId, name],
  );
  return row;
}

async function getScope(sql: Sql, projectId: string, name: string): Promise<ScopeRow> {
  const row = await findScope(sql, projectId, name);
  if (row === undefined) throw new KilnError('NOT_FOUND', `there is no scope ${JSON.stringify(name)} in the project`);
  return row;
}

const ScopeRefRow = z
  .object({ project_id: z.string(), id: z.string(), name: z.string() })
  .transform(({ project_id: projectId, ...row }) => ({ projectId, ...row }));

/**
 * What builds of a scope read: the scope itself, those that it inherits, the nearest first, then those that other projects share
 * with its own, as far as these are trusted no less than it.
 */
export async function readableScopes(
  sql: Sql,
  projectId: string,
  scopeId: string,
): Promise<Pick<Claim, 'scopes' | 'sharedScopes'>> {
  const [own, ...inherited] = await sql.query(
    ScopeRefRow,
    `WITH RECURSIVE chain AS (
       SELECT project_id, id, name, parent_id, 1 AS depth FROM scopes WHERE project_id = $1 AND id = $2
       UNION ALL
       SELECT s.project_id, s.id, s.name, s.parent_id, c.depth + 1 FROM scopes s JOIN chain c ON s.id = c.parent_id
       WHERE s.project_id = $1 AND c.depth < $3)
     SELECT project_id, id, name FROM chain ORDER BY depth`,
    [projectId, scopeId, MAX_SCOPES],
  );
  if (own === undefined) throw new KilnError('NOT_FOUND', `there is no scope ${scopeId}`);
  const sharedScopes = await sql.query(
    ScopeRefRow,
    `SELECT s.project_id, s.id, p.name || '/' || s.name AS name
     FROM cache_shares c JOIN scopes s ON s.project_id = c.project_id AND s.id = c.scope_id JOIN projects p ON p.id = s.project_id
     JOIN scopes own ON own.project_id = $1 AND own.id = $2
     WHERE c.reader_id = $1 AND s.trust >= own.trust ORDER BY s.trust DESC, c.created_at, s.id LIMIT $3`,
    [projectId, scopeId, MAX_SCOPES],
  );
  return { scopes: [own, ...inherited], sharedScopes };
}

import { AccessName, type ScopeView, type Trust } from '#protocol';
import { KilnError, type Random, randomId } from '#std';
import { z } from 'zod';
import { type Actor, audit } from './audit-log.ts';
import type { Claim } from './claim.ts';
import type { Database, Sql } from './database.ts';
import { lesserTrust, rankOf, trustColumn } from './trust.ts';

const ID_LENGTH = 16;
/** Inherited scopes, the own included; and as many shared ones. */
const MAX_SCOPES = 16;
const MAX_IN_PROJECT = 10_000;
/** Scopes of branches and pull requests that nobody comes for any more do not count. */
const COUNTED = `exchanged_at IS NULL OR exchanged_at > now() - interval '30 days'`;

const ScopeRow = z
  .object({ id: z.string(), parent_id: z.string().nullable(), trust: trustColumn })
  .transform(({ parent_id: parentId, ...row }) => ({ ...row, parentId }));
type ScopeRow = z.infer<typeof ScopeRow>;

export interface NewScope {
  /** name of the scope that it inherits */
  readonly parent?: string | undefined;
  /** `protected` where nothing else is said, `branch` (or as far as its parent) where it inherits */
  readonly trust?: Trust | undefined;
}

export interface ScopeToEnsure extends NewScope {
  readonly projectId: string;
  readonly name: string;
  /** whether it is made for an id token */
  readonly exchanged?: boolean;
}

/** @throws KilnError INVALID_ARGUMENT */
export function checkName(field: string, name: string): void {
  if (!AccessName.safeParse(name).success) {
    throw new KilnError('INVALID_ARGUMENT', `not a name of a ${field}: ${JSON.stringify(name)}`, { field });
  }
}

/**
 * The scope of this name, made where it is not there. What it inherits, and how far it is trusted, is never changed: what is in it
 * was written under it.
 * @throws KilnError INVALID_ARGUMENT for a bad name or a parent that is trusted less, NOT_FOUND for an unknown parent,
 *   CONFLICT when the scope is there and is another
 */
export async function ensureScope(
  sql: Sql,
  { random, actor }: { readonly random: Random; readonly actor: Actor },
  { projectId, name, parent, trust, exchanged = false }: ScopeToEnsure,
): Promise<ScopeRow> {
  checkName('scope', name);
  const above = parent === undefined ? undefined : await getScope(sql, projectId, parent, 'parent');
  const known = await findScope(sql, projectId, name);
  const { isNew, ...made } =
    known === undefined
      ? await makeScope(sql, random, { projectId, name, above, trust, exchanged })
      : { ...known, isNew: false };
  if (above !== undefined && made.parentId !== above.id)
    throw new KilnError('CONFLICT', `the scope ${name} is there already and inherits from another scope`);
  if (trust !== undefined && made.trust !== trust) {
    throw new KilnError('CONFLICT', `the scope ${name} is there already, trusted as ${made.trust}`, {
      hint: 'what is in it was written under that: make a scope of another name',
    });
  }
  if (isNew) {
    const detail = { parent: parent ?? null, trust: made.trust };
    await audit(sql, actor, { action: 'scope.create', target: name, projectId, detail });
  }
  return made;
}

/** How far a scope is trusted of which nothing is said. */
export const usualTrust = (above: Trust | undefined): Trust =>
  above === undefined ? 'protected' : lesserTrust(above, 'branch');

interface ScopeToMake {
  readonly projectId: string;
  readonly name: string;
  readonly above: ScopeRow | undefined;
  readonly trust: Trust | undefined;
  readonly exchanged: boolean;
}

/** Another may make it at the same time. */
async function makeScope(
  sql: Sql,
  random: Random,
  { projectId, name, above, trust, exchanged }: ScopeToMake,
): Promise<ScopeRow & { readonly isNew: boolean }> {
  const given = trust ?? usualTrust(above?.trust);
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
  const [there] = await sql.query(
    z.object({ scopes: z.int() }),
    `SELECT count(*)::int AS scopes FROM scopes WHERE project_id = $1 AND (${COUNTED})`,
    [projectId],
  );
  if ((there?.scopes ?? 0) >= MAX_IN_PROJECT)
    throw new KilnError('LIMIT_EXCEEDED', `the project has ${MAX_IN_PROJECT} scopes already`);
  const written = await sql.execute(
    `INSERT INTO scopes (project_id, id, name, parent_id, parent_trust, trust, exchanged_at)
     VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7::boolean THEN now() END)
     ON CONFLICT (project_id, name) DO NOTHING`,
    [
      projectId,
      randomId(random, ID_LENGTH),
      name,
      above?.id ?? null,
      above === undefined ? null : rankOf(above.trust),
      rankOf(given),
      exchanged,
    ],
  );
  return { ...(await getScope(sql, projectId, name)), isNew: written > 0 };
}

const ScopeViewRow = z.object({
  name: z.string(),
  parent: z.string().nullable(),
  trust: trustColumn,
  created_at: z.date(),
});

/** Scopes of a project by name, from the one after `after`; or the one of a name. */
export async function listScopes(
  sql: Sql | Database,
  projectId: string,
  { limit, after, name }: { readonly limit: number; readonly after?: string | undefined; readonly name?: string },
): Promise<readonly ScopeView[]> {
  const rows = await sql.query(
    ScopeViewRow,
    `SELECT s.name, p.name AS parent, s.trust, s.created_at
     FROM scopes s LEFT JOIN scopes p ON p.project_id = s.project_id AND p.id = s.parent_id
     WHERE s.project_id = $1 AND ($2::text IS NULL OR s.name > $2) AND ($3::text IS NULL OR s.name = $3)
     ORDER BY s.name LIMIT $4`,
    [projectId, after ?? null, name ?? null, limit],
  );
  return rows.map(({ created_at: createdAt, ...row }) => ({ ...row, createdAt: createdAt.toISOString() }));
}

export async function findScope(sql: Sql, projectId: string, name: string): Promise<ScopeRow | undefined> {
  const [row] = await sql.query(
    ScopeRow,
    'SELECT id, parent_id, trust FROM scopes WHERE project_id = $1 AND name = $2',
    [projectId, name],
  );
  return row;
}

export async function getScope(sql: Sql, projectId: string, name: string, field = 'scope'): Promise<ScopeRow> {
  const row = await findScope(sql, projectId, name);
  if (row === undefined) {
    throw new KilnError('NOT_FOUND', `there is no scope ${JSON.stringify(name)} in the project`, { field });
  }
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

import { z } from 'zod';
import type { AuditEntry, AuditList, AuditQuery } from '#protocol';
import { type Database, bigintColumn, type Sql } from './database.ts';
import type { Principal } from './principal.ts';

/** Who does something; the farm's operator, at its database, is nobody's token. */
export type Actor = Pick<Principal, 'tokenId' | 'teamId' | 'member' | 'projectId'>;

export interface Deed {
  /** what was done, to what: `token.create` */
  readonly action: AuditEntry['action'];
  /** the id or name of that */
  readonly target: string;
  /** null for what is the team's; the actor's where it is not said */
  readonly projectId?: string | null;
  /** never a secret */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** Writes down who did what, in the transaction that does it. */
export async function audit(sql: Sql, actor: Actor, { action, target, projectId, detail = {} }: Deed): Promise<void> {
  await sql.execute(
    `INSERT INTO audit_entries (team_id, project_id, token_id, member, action, target, detail)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [
      actor.teamId,
      projectId === undefined ? actor.projectId : projectId,
      actor.tokenId,
      actor.member?.name ?? null,
      action,
      target,
      JSON.stringify(detail),
    ],
  );
}

const Row = z.object({
  id: bigintColumn,
  at: z.date(),
  project: z.string().nullable(),
  token_id: z.string().nullable(),
  member: z.string().nullable(),
  action: z.string(),
  target: z.string(),
  detail: z.record(z.string(), z.json()),
});

const KEPT = '400 days';

export class AuditLog {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Forgets what was done long ago. */
  async sweep(): Promise<void> {
    await this.#db.execute(`DELETE FROM audit_entries WHERE at < now() - interval '${KEPT}'`);
  }

  /** What was done in the caller's project, and in the team where he owns it; the newest first. */
  async list(
    { projectId, teamId, member }: Pick<Principal, 'projectId' | 'teamId' | 'member'>,
    { limit, cursor, action, by }: AuditQuery,
  ): Promise<AuditList> {
    const rows = await this.#db.query(
      Row,
      `SELECT a.id, a.at, p.name AS project, a.token_id, a.member, a.action, a.target, a.detail
       FROM audit_entries a LEFT JOIN projects p ON p.id = a.project_id
       WHERE (a.project_id = $1 OR (a.project_id IS NULL AND a.team_id = $2 AND $3)) AND ($4::bigint IS NULL OR a.id < $4)
         AND ($5::text IS NULL OR $5 IN (a.action, split_part(a.action, '.', 1)))
         AND ($6::text IS NULL OR $6 IN (a.member, a.token_id))
       ORDER BY a.id DESC LIMIT $7`,
      [projectId, teamId, member?.role === 'owner', cursor ?? null, action ?? null, by ?? null, limit + 1],
    );
    const entries = rows.slice(0, limit).map(({ id, at, token_id: tokenId, ...row }) => ({
      ...row,
      id: String(id),
      at: at.toISOString(),
      tokenId,
    }));
    return { entries, next: rows.length > limit ? (entries.at(-1)?.id ?? null) : null };
  }
}

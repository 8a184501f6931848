import { createHash } from 'node:crypto';
import type { CreatedToken, MeView, Permission, TokenList, TokenQuery, TokenRequest } from '#protocol';
import { type Clock, KilnError, type Random, randomId, systemClock, systemRandom } from '#std';
import { z } from 'zod';
import { audit } from './audit-log.ts';
import type { Database, Sql } from './database.ts';
import { checkReach, type Principal, isAdmin, withinRole } from './principal.ts';
import { operator, type ProjectIds } from './project-store.ts';
import { revokeAll } from './revoke-tokens.ts';
import { getScope } from './scopes.ts';
import { findMember, reachableProject } from './team-rows.ts';
import { TokenRow, tokenColumns, tokenTables, tokenView } from './token-row.ts';
import { checkWithin, expiryOf, type TokenLimits } from './token-rules.ts';
import { trustColumn } from './trust.ts';

export interface NewToken extends ProjectIds {
  readonly name?: string | undefined;
  readonly permissions: readonly Permission[];
  readonly expiresAt?: Date | undefined;
  readonly memberId?: string | null | undefined;
  /** of an id token that it was exchanged for, or that its member signed in by */
  readonly subject?: string | undefined;
  /** the token that makes it */
  readonly madeBy?: string | null | undefined;
}

const SECRET_LENGTH = 40;
const ID_LENGTH = 16;
const MAX_ALIVE = 1_000;
const USED_PERIOD = '5 minutes';
const KEPT = '30 days';
const pattern = /^kiln_[0-9a-z]{40}$/;
const ALIVE = 't.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())';
const IdRow = z.object({ id: z.string() });

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Whether a text can be a token: `kiln_` and 40 characters. */
export function isToken(text: string): boolean {
  return pattern.test(text);
}

/** Puts a new token into its table, and gives it away once. */
export async function insertToken(
  sql: Sql,
  random: Random,
  token: NewToken,
): Promise<{ readonly id: string; readonly secret: string }> {
  const [id, secret] = [randomId(random, ID_LENGTH), `kiln_${randomId(random, SECRET_LENGTH)}`];
  await sql.execute(
    `INSERT INTO tokens (id, project_id, scope_id, sha256, permissions, expires_at, name, member_id, subject, made_by)
     VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, 'unnamed'), $8, $9, $10)`,
    [
      ...[id, token.projectId, token.scopeId, hashOf(secret), token.permissions, token.expiresAt ?? null],
      ...[token.name ?? null, token.memberId ?? null, token.subject ?? null, token.madeBy ?? null],
    ],
  );
  return { id, secret };
}

/** Bearer tokens. Only their hashes are kept. */
export class TokenStore {
  readonly #db: Database;
  readonly #random: Random;
  readonly #clock: Clock;

  constructor(db: Database, random: Random = systemRandom, clock: Clock = systemClock) {
    this.#db = db;
    this.#random = random;
    this.#clock = clock;
  }

  /** A new token of the operator's; it is shown here and never again. */
  async create(token: NewToken): Promise<string> {
    return (await insertToken(this.#db, this.#random, token)).secret;
  }

  /**
   * A new token of somebody's who has one.
   * @throws KilnError PERMISSION_DENIED for one that may more than the caller, NOT_FOUND for a project, scope or member that is
   *   not there for him, INVALID_ARGUMENT, LIMIT_EXCEEDED
   */
  async issue(caller: Principal, request: TokenRequest, limits: TokenLimits): Promise<CreatedToken> {
    const expiresAt = expiryOf(caller, request.expiresInSeconds, limits, this.#clock.nowMs());
    return await this.#db.transaction(async (sql) => {
      const projectId = await reachableProject(sql, caller, request.project);
      const scope = await getScope(sql, projectId, request.scope ?? caller.scope);
      const member = request.member === undefined ? null : await findMember(sql, caller.teamId, request.member);
      checkWithin(caller, {
        permissions: request.permissions,
        trust: scope.trust,
        scope: request.scope ?? caller.scope,
        member,
      });
      await checkCount(sql, projectId);
      await checkNotRevoked(sql, caller);
      const { id, secret } = await insertToken(sql, this.#random, {
        ...{ projectId, scopeId: scope.id, name: request.name, permissions: request.permissions, expiresAt },
        memberId: member?.id,
        madeBy: caller.tokenId,
      });
      const view = tokenView(await getToken(sql, id));
      const { name, permissions, scope: scopeName, member: memberName } = view;
      const detail = { name, permissions, scope: scopeName, member: memberName, expiresAt: view.expiresAt };
      await audit(sql, caller, { action: 'token.create', target: id, projectId, detail });
      return { ...view, token: secret };
    });
  }

  /** The newest first: of the caller's project all for who administers it, else his own. */
  async list(caller: Principal, { limit, cursor, all }: TokenQuery): Promise<TokenList> {
    const rows = await this.#db.query(
      TokenRow,
      `SELECT ${tokenColumns} FROM ${tokenTables} WHERE t.project_id = $1 AND ${visible(2)}
         AND ($5 OR (t.subject IS NULL AND ${ALIVE}))
         AND ($6::text IS NULL OR (t.created_at, t.id) < (SELECT created_at, id FROM tokens WHERE project_id = $1 AND id = $6))
       ORDER BY t.created_at DESC, t.id DESC LIMIT $7`,
      [caller.projectId, ...visibleTo(caller), all, cursor ?? null, limit + 1],
    );
    const tokens = rows.slice(0, limit).map(tokenView);
    return { tokens, next: rows.length > limit ? (tokens.at(-1)?.id ?? null) : null };
  }

  /**
   * Makes a token that was drawn elsewhere (by who sets the farm up) known. Harmless when it is.
   * @throws KilnError INVALID_ARGUMENT when it has not the form of one, CONFLICT when it stands for another scope or was revoked
   */
  async ensure(secret: string, token: NewToken & { readonly teamId: string }): Promise<void> {
    if (!isToken(secret)) {
      throw new KilnError('INVALID_ARGUMENT', 'not a token: one is `kiln_` and 40 lower-case letters and digits');
    }
    const { teamId, projectId, scopeId, permissions, expiresAt, name, memberId } = token;
    await this.#db.transaction(async (sql) => {
      const [written] = await sql.query(
        IdRow,
        `INSERT INTO tokens (id, project_id, scope_id, sha256, permissions, expires_at, name, member_id)
         VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, 'unnamed'), $8)
         ON CONFLICT (sha256) DO UPDATE SET permissions = excluded.permissions, expires_at = excluded.expires_at,
           name = excluded.name, member_id = excluded.member_id
         WHERE (tokens.permissions, tokens.expires_at, tokens.name, tokens.member_id)
           IS DISTINCT FROM (excluded.permissions, excluded.expires_at, excluded.name, excluded.member_id)
         RETURNING id`,
        [
          ...[randomId(this.#random, ID_LENGTH), projectId, scopeId, hashOf(secret), permissions, expiresAt ?? null],
          ...[name ?? null, memberId ?? null],
        ],
      );
      const [row] = await sql.query(
        z.object({ here: z.boolean(), revoked: z.boolean() }),
        `SELECT project_id = $2 AND scope_id = $3 AS here, revoked_at IS NOT NULL AS revoked FROM tokens WHERE sha256 = $1`,
        [hashOf(secret), projectId, scopeId],
      );
      if (row?.here !== true) throw new KilnError('CONFLICT', 'this token stands for another scope already');
      if (row.revoked) throw new KilnError('CONFLICT', 'this token was revoked', { hint: 'draw another one' });
      if (written !== undefined)
        await audit(sql, operator(teamId, projectId), {
          action: 'token.ensure',
          target: written.id,
          detail: { name, permissions },
        });
    });
  }

  /**
   * What a token stands for. That it was used is noted, once in some minutes.
   * @throws KilnError UNAUTHENTICATED when it is unknown, has expired or was revoked
   */
  async verify(secret: string): Promise<Principal> {
    const principal = isToken(secret) ? await this.#alive('t.sha256 = $1', hashOf(secret)) : undefined;
    if (principal !== undefined) return principal;
    throw new KilnError('UNAUTHENTICATED', 'the token is unknown, has expired or was revoked', {
      hint: 'set KILN_TOKEN to a valid token of this farm',
    });
  }

  /** As {@link verify}, for who keeps the token's id alone: a browser's session. */
  async byId(tokenId: string): Promise<Principal> {
    const principal = await this.#alive('t.id = $1', tokenId);
    if (principal !== undefined) return principal;
    throw new KilnError('UNAUTHENTICATED', 'the token of this session has expired or was revoked', {
      hint: 'sign in with another token',
    });
  }

  async #alive(condition: string, parameter: unknown): Promise<Principal | undefined> {
    const [row] = await this.#db.query(
      TokenRow,
      `WITH used AS (
         UPDATE tokens t SET last_used_at = now()
         WHERE ${condition} AND ${ALIVE} AND (last_used_at IS NULL OR last_used_at < now() - interval '${USED_PERIOD}'))
       SELECT ${tokenColumns} FROM ${tokenTables}
       WHERE ${condition} AND ${ALIVE} AND (m.id IS NULL OR m.team_id = p.team_id)`,
      [parameter],
    );
    if (row === undefined) return undefined;
    const { member_id: memberId, member: name, role } = row;
    const member = memberId === null || name === null || role === null ? null : { id: memberId, name, role };
    return {
      tokenId: row.id,
      teamId: row.team_id,
      projectId: row.project_id,
      project: row.project,
      scopeId: row.scope_id,
      scope: row.scope,
      trust: row.trust,
      permissions: member === null ? row.permissions : withinRole(member.role, row.trust, row.permissions),
      member,
      expiresAt: row.expires_at,
    };
  }

  /** What the caller's token stands for, for people. @throws KilnError UNAUTHENTICATED when it is gone meanwhile */
  async me({ tokenId, permissions, member }: Principal): Promise<MeView> {
    const [row] = await this.#db.query(
      TokenRow.extend({ team: z.string() }),
      `SELECT ${tokenColumns}, team.name AS team FROM ${tokenTables} JOIN teams team ON team.id = p.team_id WHERE t.id = $1`,
      [tokenId],
    );
    if (row === undefined) throw new KilnError('UNAUTHENTICATED', 'the token is gone');
    const { id, name, team, project, scope, trust, subject, expires_at: expiresAt } = row;
    return {
      kind: member !== null ? 'member' : subject === null ? 'project' : 'ci',
      token: { id, name },
      ...{ team, project, scope, trust, permissions: [...permissions], subject },
      member: member === null ? null : { name: member.name, role: member.role },
      expiresAt: expiresAt?.toISOString() ?? null,
    };
  }

  /**
   * From now on the token is nobody's, and neither are those that were made with it. Harmless when it is already.
   * @throws KilnError NOT_FOUND when it is not among those that the caller sees, PERMISSION_DENIED when its scope is trusted further
   *   than his
   */
  async revoke(caller: Principal, tokenId: string): Promise<void> {
    await this.#db.transaction(async (sql) => {
      const [token] = await sql.query(
        IdRow.extend({ name: z.string(), trust: trustColumn }),
        `SELECT t.id, t.name, s.trust FROM tokens t JOIN scopes s ON s.project_id = t.project_id AND s.id = t.scope_id
         WHERE t.project_id = $1 AND t.id = $5 AND ${visible(2)} FOR UPDATE OF t`,
        [caller.projectId, ...visibleTo(caller), tokenId],
      );
      if (token === undefined)
        throw new KilnError('NOT_FOUND', 'there is no such token', { hint: 'kiln token ls lists them' });
      checkReach(caller, token.trust, `the token ${token.name} is`);
      await revokeAll(sql, caller, [tokenId]);
    });
  }

  /** Forgets tokens that ended long ago, those that made others after these, and id tokens that have expired. */
  async sweep(): Promise<void> {
    await this.#db.execute('DELETE FROM used_id_tokens WHERE expires_at < now()');
    await this.#db.execute(
      `DELETE FROM tokens t WHERE least(expires_at, revoked_at) < now() - interval '${KEPT}'
         AND NOT EXISTS (SELECT FROM tokens m WHERE m.made_by = t.id)`,
    );
  }
}

/** Of `tokens t`: with the parameters of {@link visibleTo} from number `first`. */
const visible = (first: number): string => `($${first} OR t.member_id = $${first + 1} OR t.id = $${first + 2})`;
const visibleTo = (caller: Principal): readonly unknown[] => [
  isAdmin(caller),
  caller.member?.id ?? null,
  caller.tokenId,
];

async function getToken(sql: Sql, id: string): Promise<TokenRow> {
  const [row] = await sql.query(TokenRow, `SELECT ${tokenColumns} FROM ${tokenTables} WHERE t.id = $1`, [id]);
  if (row === undefined) throw new KilnError('INTERNAL', 'a token is not there once it was made');
  return row;
}

/** Until the transaction's end it is not revoked either: whoever revokes it finds what was made with it. */
async function checkNotRevoked(sql: Sql, { tokenId }: Principal): Promise<void> {
  if ((await sql.execute('SELECT 1 FROM tokens WHERE id = $1 AND revoked_at IS NULL FOR SHARE', [tokenId])) > 0) return;
  throw new KilnError('UNAUTHENTICATED', 'the token was revoked');
}

async function checkCount(sql: Sql, projectId: string): Promise<void> {
  await sql.query(IdRow, 'SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE', [projectId]);
  const [row] = await sql.query(
    z.object({ alive: z.int() }),
    `SELECT count(*)::int AS alive FROM tokens t WHERE t.project_id = $1 AND t.subject IS NULL AND ${ALIVE}`,
    [projectId],
  );
  if ((row?.alive ?? 0) < MAX_ALIVE) return;
  throw new KilnError('LIMIT_EXCEEDED', `the project has ${MAX_ALIVE} tokens already`, {
    hint: 'revoke those that nobody uses',
  });
}

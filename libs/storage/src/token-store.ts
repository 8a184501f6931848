import { createHash } from 'node:crypto';
import { z } from 'zod';
import { KilnError, type Random, randomId, systemRandom } from '#std';
import type { Database } from './database.ts';
import type { ProjectIds } from './project-store.ts';
import { type Trust, trustColumn } from './trust.ts';

export const Permission = z.enum(['builds:read', 'builds:write']);
export type Permission = z.infer<typeof Permission>;

/** Who asks: what a token stands for. */
export interface Principal extends ProjectIds {
  readonly tokenId: string;
  readonly project: string;
  readonly scope: string;
  /** how far what it starts is trusted */
  readonly trust: Trust;
  readonly permissions: readonly Permission[];
}

export interface NewToken extends ProjectIds {
  readonly permissions: readonly Permission[];
  readonly expiresAt?: Date | undefined;
}

const SECRET_LENGTH = 40;
const pattern = /^kiln_[0-9a-z]{40}$/;
const PrincipalRow = z.object({
  id: z.string(),
  project_id: z.string(),
  project: z.string(),
  scope_id: z.string(),
  scope: z.string(),
  trust: trustColumn,
  permissions: z.array(Permission),
});

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Whether a text can be a token: `kiln_` and 40 characters. */
export function isToken(text: string): boolean {
  return pattern.test(text);
}

/** Bearer tokens. Only their hashes are kept. */
export class TokenStore {
  readonly #db: Database;
  readonly #random: Random;

  constructor(db: Database, random: Random = systemRandom) {
    this.#db = db;
    this.#random = random;
  }

  /** A new token; it is shown here and never again. */
  async create(token: NewToken): Promise<string> {
    const secret = `kiln_${randomId(this.#random, SECRET_LENGTH)}`;
    await this.ensure(secret, token);
    return secret;
  }

  /**
   * Makes a token that was drawn elsewhere (by who sets the farm up) known. Harmless when it is.
   * @throws KilnError INVALID_ARGUMENT when it has not the form of one, CONFLICT when it stands for another scope
   */
  async ensure(secret: string, { projectId, scopeId, permissions, expiresAt }: NewToken): Promise<void> {
    if (!isToken(secret)) {
      throw new KilnError('INVALID_ARGUMENT', 'not a token: one is `kiln_` and 40 lower-case letters and digits');
    }
    const written = await this.#db.execute(
      `INSERT INTO tokens (id, project_id, scope_id, sha256, permissions, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (sha256) DO UPDATE SET permissions = excluded.permissions, expires_at = excluded.expires_at
       WHERE tokens.project_id = excluded.project_id AND tokens.scope_id = excluded.scope_id`,
      [randomId(this.#random, 16), projectId, scopeId, hashOf(secret), permissions, expiresAt ?? null],
    );
    if (written === 0) throw new KilnError('CONFLICT', 'this token stands for another scope already');
  }

  /**
   * What a token stands for.
   * @throws KilnError UNAUTHENTICATED when it is unknown, has expired or was revoked
   */
  async verify(secret: string): Promise<Principal> {
    const [row] = !isToken(secret)
      ? []
      : await this.#db.query(
          PrincipalRow,
          `SELECT t.id, t.project_id, p.name AS project, t.scope_id, s.name AS scope, s.trust, t.permissions
           FROM tokens t JOIN projects p ON p.id = t.project_id JOIN scopes s ON s.id = t.scope_id
           WHERE t.sha256 = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())`,
          [hashOf(secret)],
        );
    if (row === undefined) {
      throw new KilnError('UNAUTHENTICATED', 'the token is unknown, has expired or was revoked', {
        hint: 'set KILN_TOKEN to a valid token of this farm',
      });
    }
    return {
      tokenId: row.id,
      projectId: row.project_id,
      project: row.project,
      scopeId: row.scope_id,
      scope: row.scope,
      trust: row.trust,
      permissions: row.permissions,
    };
  }

  /** From now on the token is nobody's. */
  async revoke(projectId: string, tokenId: string): Promise<void> {
    await this.#db.execute(
      'UPDATE tokens SET revoked_at = now() WHERE project_id = $1 AND id = $2 AND revoked_at IS NULL',
      [projectId, tokenId],
    );
  }
}

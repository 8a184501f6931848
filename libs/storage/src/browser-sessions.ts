import { createHash } from 'node:crypto';
import { type Clock, KilnError, type Random, randomId } from '#std';
import { z } from 'zod';
import type { Database, Sql } from './database.ts';
import type { Principal } from './principal.ts';
import type { TokenStore } from './token-store.ts';

export interface BrowserSessionsOptions {
  readonly db: Database;
  readonly tokens: TokenStore;
  readonly random: Random;
  readonly clock: Clock;
}

/** What a browser keeps, or a link has; told once. */
export interface Begun {
  readonly secret: string;
  readonly expiresAt: Date;
}

const SESSION_MS = 7 * 86_400_000;
const CODE_MS = 5 * 60_000;
const SECRET_LENGTH = 40;
/** Of one token and kind; the oldest make room. */
const MAX_ALIVE = 50;
const pattern = /^[0-9a-z]{40}$/;
const TokenIdRow = z.object({ token_id: z.string() });

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/** Browsers that act for a token without keeping it. Only hashes are stored; a session ends with its token. */
export class BrowserSessions {
  readonly #options: BrowserSessionsOptions;

  constructor(options: BrowserSessionsOptions) {
    this.#options = options;
  }

  /** A session of 7 days, or of what is left of the token. @throws KilnError UNAUTHENTICATED when the token is gone meanwhile */
  begin(caller: Principal): Promise<Begun> {
    return this.#insert(caller, 'session', SESSION_MS);
  }

  /** A code of 5 minutes that begins a session of the caller's token, once. @throws KilnError as {@link begin} */
  createCode(caller: Principal): Promise<Begun> {
    return this.#insert(caller, 'code', CODE_MS);
  }

  /** Whose a code is; it is used up. @throws KilnError UNAUTHENTICATED */
  async redeem(code: string): Promise<Principal> {
    const [row] = !pattern.test(code)
      ? []
      : await this.#options.db.query(
          TokenIdRow,
          `DELETE FROM browser_sessions WHERE sha256 = $1 AND kind = 'code' AND expires_at > now() RETURNING token_id`,
          [hashOf(code)],
        );
    if (row !== undefined) return await this.#options.tokens.byId(row.token_id);
    throw new KilnError('UNAUTHENTICATED', 'this link has been used, or is too old', {
      hint: 'kiln dashboard prints another one',
    });
  }

  /** Who asks. @throws KilnError UNAUTHENTICATED when the session or its token has ended */
  async verify(secret: string): Promise<Principal> {
    const [row] = !pattern.test(secret)
      ? []
      : await this.#options.db.query(
          TokenIdRow,
          `SELECT token_id FROM browser_sessions WHERE sha256 = $1 AND kind = 'session' AND expires_at > now()`,
          [hashOf(secret)],
        );
    if (row !== undefined) return await this.#options.tokens.byId(row.token_id);
    throw new KilnError('UNAUTHENTICATED', 'the session has ended', { hint: 'sign in again' });
  }

  /** With it a token ends that was made for it. Harmless when it has ended. */
  async end(secret: string): Promise<void> {
    await this.#options.db.execute(
      `WITH ended AS (DELETE FROM browser_sessions WHERE sha256 = $1 AND kind = 'session' RETURNING token_id)
       UPDATE tokens t SET expires_at = now() FROM ended
       WHERE t.id = ended.token_id AND t.subject IS NOT NULL AND t.member_id IS NOT NULL AND t.expires_at > now()`,
      [hashOf(secret)],
    );
  }

  async sweep(): Promise<void> {
    await this.#options.db.execute('DELETE FROM browser_sessions WHERE expires_at < now()');
  }

  async #insert({ tokenId, projectId, expiresAt: tokenEnds }: Principal, kind: string, ttlMs: number): Promise<Begun> {
    const { db, random, clock } = this.#options;
    const secret = randomId(random, SECRET_LENGTH);
    const untilMs = Math.min(clock.nowMs() + ttlMs, tokenEnds?.getTime() ?? Infinity);
    const expiresAt = new Date(untilMs);
    await db.transaction(async (sql) => {
      await lockToken(sql, tokenId);
      await sql.execute(
        `DELETE FROM browser_sessions WHERE sha256 IN (SELECT sha256 FROM browser_sessions
           WHERE token_id = $1 AND kind = $2 ORDER BY created_at DESC OFFSET $3)`,
        [tokenId, kind, MAX_ALIVE - 1],
      );
      await sql.execute(
        'INSERT INTO browser_sessions (sha256, kind, project_id, token_id, expires_at) VALUES ($1, $2, $3, $4, $5)',
        [hashOf(secret), kind, projectId, tokenId, expiresAt],
      );
    });
    return { secret, expiresAt };
  }
}

async function lockToken(sql: Sql, tokenId: string | null): Promise<void> {
  const query = 'SELECT 1 FROM tokens WHERE id = $1 AND revoked_at IS NULL FOR NO KEY UPDATE';
  if ((await sql.execute(query, [tokenId])) > 0) return;
  throw new KilnError('UNAUTHENTICATED', 'the token was revoked');
}

import { z } from 'zod';
import { type Actor, audit } from './audit-log.ts';
import type { Sql } from './database.ts';

const RevokedRow = z.object({ id: z.string(), name: z.string(), project_id: z.string() });
/** Tokens, and those that were made with them, and with these. */
const REVOKE = `WITH RECURSIVE made AS (
    SELECT id FROM tokens WHERE id = ANY ($1) UNION SELECT t.id FROM tokens t JOIN made ON t.made_by = made.id)
  UPDATE tokens t SET revoked_at = now() WHERE t.id IN (SELECT id FROM made) AND t.revoked_at IS NULL
  RETURNING t.id, t.name, t.project_id`;

/** From now on these tokens are nobody's, and neither are those that were made with them. */
export async function revokeAll(sql: Sql, actor: Actor, tokenIds: readonly string[]): Promise<void> {
  // Again for those that were made meanwhile.
  for (let revoked = await sql.query(RevokedRow, REVOKE, [tokenIds]); revoked.length > 0; ) {
    for (const { id, name, project_id: projectId } of revoked)
      await audit(sql, actor, { action: 'token.revoke', target: id, projectId, detail: { name } });
    revoked = await sql.query(RevokedRow, REVOKE, [tokenIds]);
  }
}

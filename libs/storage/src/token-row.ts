import { z } from 'zod';
import { Permission, type TokenView } from '#protocol';
import { roleColumn, trustColumn } from './trust.ts';

/** Columns of {@link TokenRow}; after them, {@link tokenTables}. */
export const tokenColumns = `t.id, t.name, t.project_id, p.name AS project, p.team_id, t.scope_id, s.name AS scope, s.trust,
  t.permissions, t.subject, t.created_at, t.expires_at, t.revoked_at, t.last_used_at,
  m.id AS member_id, m.name AS member, m.role`;
export const tokenTables = `tokens t JOIN projects p ON p.id = t.project_id
  JOIN scopes s ON s.project_id = t.project_id AND s.id = t.scope_id LEFT JOIN members m ON m.id = t.member_id`;

export const TokenRow = z.object({
  id: z.string(),
  name: z.string(),
  project_id: z.string(),
  project: z.string(),
  team_id: z.string(),
  scope_id: z.string(),
  scope: z.string(),
  trust: trustColumn,
  permissions: z.array(Permission),
  subject: z.string().nullable(),
  created_at: z.date(),
  expires_at: z.date().nullable(),
  revoked_at: z.date().nullable(),
  last_used_at: z.date().nullable(),
  member_id: z.string().nullable(),
  member: z.string().nullable(),
  role: roleColumn.nullable(),
});
export type TokenRow = z.infer<typeof TokenRow>;

export function tokenView(row: TokenRow): TokenView {
  const { id, name, project, scope, trust, permissions, member, subject } = row;
  return {
    ...{ id, name, project, scope, trust, permissions, member, subject },
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at?.toISOString() ?? null,
    revokedAt: row.revoked_at?.toISOString() ?? null,
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
  };
}

import { z } from 'zod';
import { PageQuery } from './access.ts';

export const JsonValue = z.json();

/** Something that was done to a project or a team, and by whom. */
export const AuditEntry = z.object({
  id: z.string(),
  at: z.iso.datetime(),
  /** null: it was done to the team */
  project: z.string().nullable(),
  /** null: the farm's operator or the farm itself, or a CI system that exchanged an id token */
  tokenId: z.string().nullable(),
  /** whose token it was */
  member: z.string().nullable(),
  /** what it was done to, and what was done: `token.create` */
  action: z.string(),
  target: z.string(),
  detail: z.record(z.string(), JsonValue),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

/** GET /v1/audit: the newest first; of the team too for who owns it. */
export const AuditQuery = PageQuery.extend({
  cursor: z
    .string()
    .regex(/^[1-9]\d{0,15}$/)
    .optional(),
  /** whole, or what comes before the dot */
  action: z
    .string()
    .regex(/^[a-z-]{1,40}(?:\.[a-z-]{1,40})?$/, 'an action such as token.create, or all of token')
    .optional(),
  /** a member’s name, or the id of a token */
  by: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[^\0]*$/)
    .optional(),
});
export type AuditQuery = z.infer<typeof AuditQuery>;

export const AuditList = z.object({ entries: z.array(AuditEntry), next: z.string().nullable() });
export type AuditList = z.infer<typeof AuditList>;

import { z } from 'zod';
import { AccessName, Label, PageQuery, Permission, Permissions, Trust } from './access.ts';

/** POST /v1/tokens: never more than the caller's own token may. */
export const TokenRequest = z.strictObject({
  name: Label,
  permissions: Permissions,
  /** the caller's where it is not said; another of the team is for members alone */
  project: AccessName.optional(),
  /** the caller's where it is not said */
  scope: AccessName.optional(),
  /** makes it that member's own: it ends with the membership, and never does more than the role */
  member: AccessName.optional(),
  /** as the farm's settings say where it is not said */
  expiresInSeconds: z.int().min(60).optional(),
});
export type TokenRequest = z.infer<typeof TokenRequest>;
export type TokenRequestInput = z.input<typeof TokenRequest>;

export const TokenView = z.object({
  id: z.string(),
  name: z.string(),
  project: z.string(),
  scope: z.string(),
  /** of the scope */
  trust: Trust,
  permissions: z.array(Permission),
  /** whose own it is; null for one of the project */
  member: z.string().nullable(),
  /** whom a CI system named, of a token that was exchanged for an id token */
  subject: z.string().nullable(),
  createdAt: z.iso.datetime(),
  /** null: never */
  expiresAt: z.iso.datetime().nullable(),
  revokedAt: z.iso.datetime().nullable(),
  /** to within minutes */
  lastUsedAt: z.iso.datetime().nullable(),
});
export type TokenView = z.infer<typeof TokenView>;

/** The one answer that has the token itself. */
export const CreatedToken = TokenView.extend({ token: z.string() });
export type CreatedToken = z.infer<typeof CreatedToken>;

/** GET /v1/tokens: all of the project for who administers it, else the caller's own. */
export const TokenQuery = PageQuery.extend({
  /** also those that have ended, and those of exchanges */
  all: z.stringbool().default(false),
});
export type TokenQuery = z.infer<typeof TokenQuery>;

export const TokenList = z.object({ tokens: z.array(TokenView), next: z.string().nullable() });
export type TokenList = z.infer<typeof TokenList>;

import { z } from 'zod';
import { Permission, Role, Trust } from './access.ts';

/** GET /v1/me: what the caller's token stands for. */
export const MeView = z.object({
  /** whose the token is: a member's own, the project's, or that of a CI system which showed an id token */
  kind: z.enum(['member', 'project', 'ci']),
  token: z.object({ id: z.string(), name: z.string() }),
  team: z.string(),
  project: z.string(),
  scope: z.string(),
  /** of the scope */
  trust: Trust,
  /** within the member's role */
  permissions: z.array(Permission),
  member: z.object({ name: z.string(), role: Role }).nullable(),
  /** whom a CI system named; of a member’s, as whom he signed in at the farm’s issuer */
  subject: z.string().nullable(),
  /** null: never */
  expiresAt: z.iso.datetime().nullable(),
});
export type MeView = z.infer<typeof MeView>;

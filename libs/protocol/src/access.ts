import { z } from 'zod';

/** What a token may do in its project: start builds, see them, and say who else may. */
export const Permission = z.enum(['build', 'read', 'admin']);
export type Permission = z.infer<typeof Permission>;

/** How far what runs in a scope is trusted, the least first. */
export const Trust = z.enum(['fork', 'pull-request', 'branch', 'protected', 'release']);
export type Trust = z.infer<typeof Trust>;

/** What a member may do in the projects of the team, the least first. */
export const Role = z.enum(['viewer', 'developer', 'maintainer', 'owner']);
export type Role = z.infer<typeof Role>;

/** Of a project, a scope, a team or a member. */
export const AccessName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/, 'letters, digits, and . _ / -');
/** Of a token or a rule: for people. */
export const Label = z.string().regex(/^[^\p{C}]{1,100}$/u, '1 to 100 printable characters');

export const Permissions = z
  .array(Permission)
  .min(1)
  .max(Permission.options.length)
  .transform((given) => Permission.options.filter((each) => given.includes(each)));

/** Of lists that come in pages. */
export const PageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  /** `next` of the page before */
  cursor: z.string().max(64).optional(),
});
export type PageQuery = z.infer<typeof PageQuery>;

import { z } from 'zod';
import { AccessName, type Permission, Trust } from './access.ts';

/** `?project=` of what reads: another project of the team, to who may read them all; without it the token's own. */
export const ProjectQuery = z.strictObject({ project: AccessName.optional() });
export type ProjectQuery = z.infer<typeof ProjectQuery>;

/**
 * Whether a token reads the builds and figures of all projects of its team: a member's own with `read`, in a scope that is trusted as
 * far as branches are. What a pull request's code gets hold of stays in its project.
 */
export function readsTeam(caller: {
  readonly member: object | null;
  readonly permissions: readonly Permission[];
  readonly trust: Trust;
}): boolean {
  const trusted = Trust.options.indexOf(caller.trust) >= Trust.options.indexOf('branch');
  return caller.member !== null && caller.permissions.includes('read') && trusted;
}

import { Permission, type Role, type Trust } from '#protocol';
import type { ProjectIds } from './project-store.ts';
import { KilnError } from '#std';
import { rankOf, rankOfRole } from './trust.ts';

export interface Member {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
}

/** Who asks: what a token stands for. */
export interface Principal extends ProjectIds {
  /** null: the farm's operator, or a CI system with an id token */
  readonly tokenId: string | null;
  readonly teamId: string;
  readonly project: string;
  readonly scope: string;
  /** how far what it starts is trusted */
  readonly trust: Trust;
  /** as far as the member's role goes */
  readonly permissions: readonly Permission[];
  /** whose own token it is */
  readonly member: Member | null;
  readonly expiresAt: Date | null;
}

/** What each role may do at most, and in how far trusted scopes it may do more than read. */
const roles: Readonly<Record<Role, { readonly permissions: readonly Permission[]; readonly trust: Trust }>> = {
  viewer: { permissions: ['read'], trust: 'release' },
  developer: { permissions: ['build', 'read'], trust: 'branch' },
  maintainer: { permissions: Permission.options, trust: 'release' },
  owner: { permissions: Permission.options, trust: 'release' },
};

/** What is left of a token's permissions in the hands of a member. */
export function withinRole(role: Role, trust: Trust, permissions: readonly Permission[]): readonly Permission[] {
  const allowed = rankOf(trust) > rankOf(roles[role].trust) ? ['read'] : roles[role].permissions;
  return permissions.filter((permission) => allowed.includes(permission));
}

export const isAdmin = ({ permissions }: Pick<Principal, 'permissions'>): boolean => permissions.includes('admin');

/** Whether somebody decides over the team: an owner, with a token that may administer. */
export const ownsTeam = (caller: Pick<Principal, 'permissions' | 'member'>): boolean =>
  isAdmin(caller) && caller.member !== null && rankOfRole(caller.member.role) >= rankOfRole('owner');

/**
 * That nobody decides over what is trusted further than he is himself.
 * @param what as in `the trust rule x is`
 * @throws KilnError PERMISSION_DENIED
 */
export function checkReach(caller: Pick<Principal, 'trust'>, trust: Trust, what: string, field?: string): void {
  if (rankOf(trust) <= rankOf(caller.trust)) return;
  throw new KilnError(
    'PERMISSION_DENIED',
    `${what} trusted as ${trust}, and this token’s own scope as ${caller.trust}`,
    { field, hint: 'use a token of a scope that is trusted as far' },
  );
}

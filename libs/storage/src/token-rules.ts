import type { Permission, Trust } from '#protocol';
import { KilnError } from '#std';
import { isAdmin, type Member, ownsTeam, type Principal, withinRole } from './principal.ts';
import { rankOf } from './trust.ts';

export interface TokenLimits {
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
}

export interface WantedToken {
  readonly permissions: readonly Permission[];
  /** of its scope */
  readonly trust: Trust;
  readonly scope: string;
  readonly member: Member | null;
}

const denied = (message: string, field: string, hint?: string): KilnError =>
  new KilnError('PERMISSION_DENIED', message, { field, hint });

/**
 * That nobody makes a token that may do more than his own: who administers the project makes any, a member his own.
 * @throws KilnError PERMISSION_DENIED
 */
export function checkWithin(caller: Principal, { permissions, trust, scope, member }: WantedToken): void {
  const own = member !== null && member.id === caller.member?.id;
  if (!own && member !== null && !ownsTeam(caller))
    throw denied('only an owner of the team makes tokens of other members', 'member');
  if (!own && !isAdmin(caller)) {
    throw denied(
      'this token may not make tokens of the project: it lacks admin',
      'member',
      caller.member === null ? undefined : `name ${caller.member.name} as the member: anybody makes tokens of his own`,
    );
  }
  const lacking = permissions.filter((permission) => !caller.permissions.includes(permission));
  if (lacking.length > 0) throw denied(`this token cannot give what it lacks: ${lacking.join(', ')}`, 'permissions');
  if (rankOf(trust) > rankOf(caller.trust)) {
    throw denied(
      `the scope ${scope} is trusted as ${trust}, and this token’s own as ${caller.trust}`,
      'scope',
      'use a token of a scope that is trusted as far',
    );
  }
  if (member === null) return;
  const beyond = permissions.filter((each) => !withinRole(member.role, trust, permissions).includes(each));
  if (beyond.length > 0) {
    throw denied(`a ${member.role} may not ${beyond.join(', ')} in a scope trusted as ${trust}`, 'permissions');
  }
}

/**
 * When a new token ends. One that is made without admin ends no later than that it is made with.
 * @throws KilnError INVALID_ARGUMENT for more than the farm allows
 */
export function expiryOf(caller: Principal, seconds: number | undefined, limits: TokenLimits, nowMs: number): Date {
  const ttlMs = seconds === undefined ? limits.defaultTtlMs : seconds * 1_000;
  if (ttlMs > limits.maxTtlMs) {
    throw new KilnError('INVALID_ARGUMENT', `a token lives ${limits.maxTtlMs / 1_000} seconds at most`, {
      field: 'expiresInSeconds',
    });
  }
  const until = nowMs + ttlMs;
  return new Date(isAdmin(caller) ? until : Math.min(until, caller.expiresAt?.getTime() ?? until));
}

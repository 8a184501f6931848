import { z } from 'zod';
import { Role, Trust } from '#protocol';

const ranked = <T extends string>(what: string, options: readonly T[]) =>
  z.int().transform((rank, context) => {
    const found = options[rank];
    if (found !== undefined) return found;
    context.addIssue({ code: 'custom', message: `no ${what} has the rank ${rank}` });
    return z.NEVER;
  });

/** The place of a trust among all is what the database keeps. */
export const trustColumn = ranked('trust', Trust.options);
export const roleColumn = ranked('role', Role.options);

/** Its place among all. */
export const rankOf = (trust: Trust): number => Trust.options.indexOf(trust);
export const rankOfRole = (role: Role): number => Role.options.indexOf(role);

/** The lesser of two. */
export const lesserTrust = (one: Trust, other: Trust): Trust => (rankOf(one) < rankOf(other) ? one : other);

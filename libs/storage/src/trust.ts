import { z } from 'zod';

/** How far what runs in a scope is trusted, the least first. Its place is what the database keeps. */
export const Trust = z.enum(['fork', 'pull-request', 'branch', 'protected', 'release']);
export type Trust = z.infer<typeof Trust>;

export const trustColumn = z.int().transform((rank, context) => {
  const trust = Trust.options[rank];
  if (trust !== undefined) return trust;
  context.addIssue({ code: 'custom', message: `no trust has the rank ${rank}` });
  return z.NEVER;
});

/** Its place among all. */
export const rankOf = (trust: Trust): number => Trust.options.indexOf(trust);

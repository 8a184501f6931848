import { z } from 'zod';
import { AccessName } from './access.ts';

const secret = z.string().min(1).max(200);

/** POST /v1/session: a token, or the code of a one-time link. */
export const SignInRequest = z.union([z.strictObject({ token: secret }), z.strictObject({ code: secret })]);
export type SignInRequest = z.infer<typeof SignInRequest>;

/** POST /v1/session/codes: good once, for minutes, and for nothing but to sign in a browser as the caller's token. */
export const SignInCode = z.object({ code: z.string(), url: z.string(), expiresAt: z.iso.datetime() });
export type SignInCode = z.infer<typeof SignInCode>;

/** GET /v1/session/ways: how people sign in who have no token. */
export const SignInWays = z.object({
  /** at an issuer, by GET /v1/session/oidc; null where the farm has none */
  oidc: z.object({ name: z.string() }).nullable(),
});
export type SignInWays = z.infer<typeof SignInWays>;

/** GET /v1/session/oidc: where to go after it, a path of the dashboard, and in which project. */
export const SignInStart = z.strictObject({
  to: z.string().max(2_000).default('/'),
  project: AccessName.optional(),
});
export type SignInStart = z.infer<typeof SignInStart>;

/** GET /v1/session/oidc/callback: what the issuer says; it may say more. https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2 */
export const SignInAnswer = z.looseObject({ state: z.string().max(200).optional() });
export type SignInAnswer = z.infer<typeof SignInAnswer>;

/** GET /v1/session/oidc/end: where somebody is signed out of the issuer, too; null where it has no page for that. */
export const SignOutWay = z.object({ name: z.string(), url: z.url().nullable() });
export type SignOutWay = z.infer<typeof SignOutWay>;

/** POST /v1/session/project: in which a person who signed in at the farm's issuer works from now on. */
export const SessionProject = z.strictObject({ project: AccessName });
export type SessionProject = z.infer<typeof SessionProject>;

/** Why nobody was signed in, as `/sign-in?failed=` has it. */
export const SignInFailure = z.enum(['expired', 'refused', 'unavailable', 'unknown', 'unverified', 'taken', 'project']);
export type SignInFailure = z.infer<typeof SignInFailure>;

import { z } from 'zod';
import { AccessName, PageQuery, Role, Trust } from './access.ts';

/** POST /v1/projects: by an owner of the team. */
export const ProjectRequest = z.strictObject({
  name: AccessName,
  /** its first scope, trusted as `protected` */
  scope: AccessName.default('main'),
});
export type ProjectRequest = z.infer<typeof ProjectRequest>;

export const ProjectView = z.object({ name: z.string(), team: z.string(), createdAt: z.iso.datetime() });
export type ProjectView = z.infer<typeof ProjectView>;

/** PUT /v1/projects/:project/badge: by who administers the project. */
export const BadgeSetting = z.strictObject({ public: z.boolean() });
export type BadgeSetting = z.infer<typeof BadgeSetting>;

export const BadgeView = BadgeSetting.extend({ url: z.string() });
export type BadgeView = z.infer<typeof BadgeView>;

/** GET /v1/projects/:project: the token's own, with what it shows to everybody and its quotas. */
export const ProjectDetail = ProjectView.extend({
  badge: BadgeView,
  quotas: z.object({
    /** of what clients sent, as long as it is kept; null: no limit */
    sentBytes: z.int(),
    sentQuotaBytes: z.int().nullable(),
    /** builds at once; null: as many as there are builders for */
    maxRunning: z.int().nullable(),
    maxQueued: z.int(),
  }),
});
export type ProjectDetail = z.infer<typeof ProjectDetail>;

/** By name; `cursor` is `next` of the page before. */
export const NamePageQuery = PageQuery.extend({ cursor: AccessName.optional() });
export type NamePageQuery = z.infer<typeof NamePageQuery>;

/** GET /v1/projects: to a member all of the team, else the token's own. */
export const ProjectList = z.object({ projects: z.array(ProjectView), next: z.string().nullable() });
export type ProjectList = z.infer<typeof ProjectList>;

/** PUT /v1/members/:name: by an owner of the team. */
export const MemberRequest = z.strictObject({
  /** of somebody new it is said; as it was where it is not */
  role: Role.optional(),
  /** by which the member signs in at the farm's issuer, whoever it was before; null: not at all; as it was where it is not said */
  email: z.email().max(254).toLowerCase().nullable().optional(),
});
export type MemberRequest = z.infer<typeof MemberRequest>;

export const MemberView = z.object({
  name: z.string(),
  role: Role,
  /** by which the member signs in at the farm's issuer */
  email: z.string().nullable(),
  /** who that is at the issuer, once he has signed in */
  subject: z.string().nullable(),
  createdAt: z.iso.datetime(),
});
export type MemberView = z.infer<typeof MemberView>;

export const MemberList = z.object({ members: z.array(MemberView), next: z.string().nullable() });
export type MemberList = z.infer<typeof MemberList>;

/** POST /v1/scopes: harmless when the scope is there and is the same. */
export const ScopeRequest = z.strictObject({
  name: AccessName,
  /** what it inherits */
  parent: AccessName.optional(),
  /** no further than the caller's own scope, and the parent */
  trust: Trust.optional(),
});
export type ScopeRequest = z.infer<typeof ScopeRequest>;

export const ScopeView = z.object({
  name: z.string(),
  parent: z.string().nullable(),
  trust: Trust,
  createdAt: z.iso.datetime(),
});
export type ScopeView = z.infer<typeof ScopeView>;

export const ScopeList = z.object({ scopes: z.array(ScopeView), next: z.string().nullable() });
export type ScopeList = z.infer<typeof ScopeList>;

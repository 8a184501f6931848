import { z } from 'zod';
import type { StatisticsBy } from '#protocol';
import { bigintColumn } from './database.ts';

/** A project that is asked about. */
export interface Counted {
  readonly projectId: string;
  readonly project: string;
}

/** Columns of {@link sumsOf}. */
export const countColumns = {
  hits: bigintColumn,
  joined: bigintColumn,
  misses: bigintColumn,
  followed: bigintColumn,
  saved_ms: z.number(),
  saved_bytes: bigintColumn,
  spent_ms: z.number(),
};

/** As the API names them. */
export const renamed = <T extends { saved_ms: number; saved_bytes: number; spent_ms: number }>(row: T) => {
  const { saved_ms: savedMs, saved_bytes: savedBytes, spent_ms: spentMs, ...others } = row;
  return { ...others, savedMs, savedBytes, spentMs };
};

type Table = 'step_statistics' | 'branch_statistics';

export interface Grouping {
  readonly name: string;
  readonly order: string;
  readonly table: Table;
  readonly join: string;
  /** of rows `t` */
  readonly where: string;
}

const dearest = 'spent_ms DESC, saved_ms DESC, name';
const bySteps = { order: dearest, table: 'step_statistics', join: '', where: 'true' } as const;

/** What statistics are told by. */
export const groupings: Readonly<Record<StatisticsBy, Grouping>> = {
  day: { ...bySteps, name: "to_char(t.day, 'YYYY-MM-DD')", order: 'name DESC' },
  scope: { ...bySteps, name: 's.name' },
  branch: { ...bySteps, name: 't.branch', table: 'branch_statistics' },
  dockerfile: { ...bySteps, name: 't.dockerfile' },
  step: { ...bySteps, name: 't.step' },
  cause: { ...bySteps, name: 't.cause', order: 'misses DESC, spent_ms DESC, name', where: "t.outcome = 'miss'" },
  project: { ...bySteps, name: 'p.name', join: 'JOIN projects p ON p.id = t.project_id' },
};

/** What rows `t` of a table come to. */
export const sumsOf = (table: Table): string => (table === 'branch_statistics' ? branchSums : stepSums);

const stepSums = `coalesce(sum(t.steps) FILTER (WHERE t.outcome = 'hit'), 0)::bigint AS hits,
  coalesce(sum(t.steps) FILTER (WHERE t.outcome = 'joined'), 0)::bigint AS joined,
  coalesce(sum(t.steps) FILTER (WHERE t.outcome = 'miss'), 0)::bigint AS misses,
  coalesce(sum(t.followed), 0)::bigint AS followed, coalesce(sum(t.saved_ms), 0) AS saved_ms,
  coalesce(sum(t.saved_bytes), 0)::bigint AS saved_bytes, coalesce(sum(t.spent_ms), 0) AS spent_ms`;
const branchSums = `sum(t.hits)::bigint AS hits, sum(t.joined)::bigint AS joined, sum(t.misses)::bigint AS misses,
  sum(t.followed)::bigint AS followed, sum(t.saved_ms) AS saved_ms, sum(t.saved_bytes)::bigint AS saved_bytes,
  sum(t.spent_ms) AS spent_ms`;

/** Rows `t` of projects $1, of the last $2 days and today (UTC), of scope $3 where there is one. */
export const countedRows = (
  table: string,
  join = '',
): string => `FROM ${table} t JOIN scopes s ON s.project_id = t.project_id AND s.id = t.scope_id ${join}
  WHERE t.project_id = ANY ($1) AND t.day >= ${daysAgo(2)} AND ($3::text IS NULL OR s.name = $3)`;

/** Today (UTC), and so many days before as a parameter says. */
export const today = "(now() AT TIME ZONE 'UTC')::date";
export const daysAgo = (parameter: number): string => `${today} - $${parameter}::int`;

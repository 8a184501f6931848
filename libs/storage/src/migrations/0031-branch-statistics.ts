/** Counts of steps of builds that have ended, by day and branch: `''` for builds of none. See libs/storage/src/statistics.ts. */
export const branchStatistics = {
  number: 31,
  name: 'branch statistics',
  sql: `
CREATE TABLE branch_statistics (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  day date NOT NULL,
  branch text NOT NULL,
  hits bigint NOT NULL,
  joined bigint NOT NULL,
  misses bigint NOT NULL,
  followed bigint NOT NULL,
  saved_ms double precision NOT NULL,
  saved_bytes bigint NOT NULL,
  spent_ms double precision NOT NULL,
  PRIMARY KEY (project_id, day, scope_id, branch),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);
`,
} as const;

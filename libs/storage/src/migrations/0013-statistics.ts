/** Counts of steps and builds that have ended, by day; see libs/storage/src/statistics.ts. */
export const statistics = {
  number: 13,
  name: 'statistics',
  sql: `
CREATE TABLE step_statistics (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  day date NOT NULL,
  dockerfile text NOT NULL,
  step text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('hit', 'joined', 'miss')),
  cause text NOT NULL,
  steps bigint NOT NULL,
  followed bigint NOT NULL,
  saved_ms double precision NOT NULL,
  saved_bytes bigint NOT NULL,
  spent_ms double precision NOT NULL,
  PRIMARY KEY (project_id, day, scope_id, dockerfile, step, outcome, cause),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);

CREATE TABLE build_statistics (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  day date NOT NULL,
  builds bigint NOT NULL,
  cached_builds bigint NOT NULL,
  PRIMARY KEY (project_id, day, scope_id),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);
`,
} as const;

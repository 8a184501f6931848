/**
 * Results whose blobs are still on their way, by what they are made of: only when they were made, for whoever makes the same
 * meanwhile has the same result. Nothing refers to these rows; they are forgotten when they are old.
 */
export const reservedResults = {
  number: 18,
  name: 'reserved-results',
  sql: `
CREATE TABLE reserved_results (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  id text NOT NULL,
  started_at_ms double precision NOT NULL,
  finished_at_ms double precision NOT NULL,
  reserved_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope_id, id),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);
CREATE INDEX reserved_results_by_age ON reserved_results (reserved_at);
`,
};

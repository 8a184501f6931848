/** Which results each build made or used, of parts with their build: so that who had a disowned one can be told. */
export const disowning = {
  number: 16,
  name: 'disowning',
  sql: `
CREATE TABLE build_results (
  project_id text NOT NULL,
  build_id text NOT NULL,
  result_id text NOT NULL,
  PRIMARY KEY (build_id, result_id),
  FOREIGN KEY (project_id, build_id) REFERENCES builds (project_id, id) ON DELETE CASCADE
);
CREATE INDEX build_results_by_result ON build_results (project_id, result_id);
CREATE INDEX results_by_parent ON results USING gin (parents);
`,
} as const;

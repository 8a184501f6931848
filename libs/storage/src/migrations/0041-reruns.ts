/**
 * How often steps that ran again on the same inputs gave the same content, by day; the builds of the last time that they did not.
 * What went out of the cache leaves behind what it was. See libs/storage/src/rerun-store.ts.
 */
export const reruns = {
  number: 41,
  name: 'reruns',
  sql: `
CREATE TABLE rerun_statistics (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  day date NOT NULL,
  step text NOT NULL,
  same bigint NOT NULL,
  different bigint NOT NULL,
  last_at timestamptz,
  last_build text,
  earlier_build text,
  PRIMARY KEY (project_id, day, scope_id, step),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);

ALTER TABLE record_tombstones ADD COLUMN tree text, ADD COLUMN producer_build text;
`,
} as const;

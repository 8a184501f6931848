/** What became of records that are no more, so that a later miss can be explained. The newest end of a key counts. */
export const tombstones = {
  number: 8,
  name: 'tombstones',
  sql: `
CREATE TABLE record_tombstones (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  key text NOT NULL,
  op text NOT NULL,
  reason text NOT NULL CHECK (reason IN ('evicted', 'lost', 'disowned')),
  detail text,
  gone_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope_id, key),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);
CREATE INDEX record_tombstones_by_time ON record_tombstones (gone_at);
`,
} as const;

/**
 * What the keys of each build hashed, so that a later miss can be explained: a preimage once in a project, whichever builds have
 * it (those of no build may be removed), with the blobs that list what it takes. `cause` and `compared` tell why a step missed.
 */
export const explanations = {
  number: 12,
  name: 'explanations',
  sql: `
CREATE TABLE key_preimages (
  project_id text NOT NULL REFERENCES projects (id),
  key text NOT NULL,
  preimage json NOT NULL,
  listings text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, key)
);

CREATE TABLE build_keys (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  build_id text NOT NULL,
  vertex text NOT NULL,
  position integer NOT NULL,
  stage text NOT NULL,
  name text NOT NULL,
  line integer NOT NULL,
  op text NOT NULL,
  key text NOT NULL,
  kept_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (build_id, vertex),
  FOREIGN KEY (project_id, build_id) REFERENCES builds (project_id, id) ON DELETE CASCADE
);
CREATE INDEX build_keys_by_op ON build_keys (project_id, scope_id, op, kept_at DESC);
CREATE INDEX build_keys_by_key ON build_keys (project_id, key);
CREATE INDEX builds_by_scope ON builds (project_id, scope_id, created_at DESC) WHERE parent_id IS NULL;

ALTER TABLE steps ADD COLUMN cause json, ADD COLUMN compared json;
`,
} as const;

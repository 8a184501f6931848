/**
 * Contexts whose manifests a project has sent. `whole`: all files that it names were the project's, and kept, when the manifest
 * was last kept; of others some may never come.
 */
export const contexts = {
  number: 20,
  name: 'contexts',
  sql: `
CREATE TABLE contexts (
  project_id text NOT NULL,
  digest text NOT NULL,
  files integer NOT NULL,
  size_bytes bigint NOT NULL,
  whole boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, digest),
  FOREIGN KEY (project_id, digest) REFERENCES grants (project_id, digest) ON DELETE CASCADE
);
`,
} as const;

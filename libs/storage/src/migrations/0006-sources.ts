/**
 * Named contexts of builds, and what builds fetched. URLs may hold credentials, so they stand as digests.
 */
export const sources = {
  number: 6,
  name: 'sources',
  sql: `
ALTER TABLE builds ADD COLUMN named_contexts json NOT NULL DEFAULT '[]';

CREATE TABLE fetched_files (
  project_id text NOT NULL REFERENCES projects (id),
  url_sha256 text NOT NULL,
  digest text NOT NULL,
  size_bytes bigint NOT NULL,
  mtime bigint NOT NULL,
  etag text,
  last_modified text,
  fetched_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, url_sha256)
);
CREATE INDEX fetched_files_by_digest ON fetched_files (project_id, digest);

CREATE TABLE fetched_trees (
  project_id text NOT NULL REFERENCES projects (id),
  key text NOT NULL,
  manifest_digest text NOT NULL,
  fetched_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, key)
);
`,
} as const;

/**
 * Blobs that results of a project name and that are not here: they lie at a registry, whose cache gave the results, and come
 * when they are needed. Until then the project has no grant for them.
 */
export const blobPlaces = {
  number: 14,
  name: 'blob-places',
  sql: `
CREATE TABLE blob_places (
  project_id text NOT NULL REFERENCES projects (id),
  digest text NOT NULL,
  media_type text NOT NULL,
  size_bytes bigint NOT NULL,
  registry text NOT NULL,
  repository text NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, digest)
);
`,
} as const;

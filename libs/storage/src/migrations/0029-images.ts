/**
 * Images that builds made (libs/storage/src/image-store.ts). `image` is an ImageContent. A `kept` image needs its blobs. Names
 * are those of one scope: what an untrusted build calls `app:1` is nobody else's `app:1`.
 */
export const images = {
  number: 29,
  name: 'images',
  sql: `
CREATE TABLE images (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  digest text NOT NULL,
  id text NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  kept boolean NOT NULL,
  image json NOT NULL,
  build_id text NOT NULL,
  used_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope_id, digest),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);
CREATE INDEX images_by_id ON images (project_id, id text_pattern_ops);
CREATE INDEX images_by_digest ON images (project_id, digest text_pattern_ops);
CREATE INDEX images_by_use ON images (used_at);
CREATE TABLE image_names (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  name text NOT NULL,
  digest text NOT NULL,
  PRIMARY KEY (project_id, scope_id, name),
  FOREIGN KEY (project_id, scope_id, digest) REFERENCES images (project_id, scope_id, digest) ON DELETE CASCADE
);
CREATE INDEX image_names_of_image ON image_names (project_id, scope_id, digest);
CREATE TABLE image_blobs (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  digest text NOT NULL,
  blob text NOT NULL,
  kept boolean NOT NULL,
  PRIMARY KEY (project_id, scope_id, digest, blob),
  FOREIGN KEY (project_id, scope_id, digest) REFERENCES images (project_id, scope_id, digest) ON DELETE CASCADE
);
CREATE INDEX image_blobs_kept ON image_blobs (blob) WHERE kept;
CREATE INDEX image_blobs_of_project ON image_blobs (project_id, blob);
CREATE TABLE image_repositories (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  digest text NOT NULL,
  registry text NOT NULL,
  repository text NOT NULL,
  pushed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope_id, digest, registry, repository),
  FOREIGN KEY (project_id, scope_id, digest) REFERENCES images (project_id, scope_id, digest) ON DELETE CASCADE
);
`,
} as const;

/**
 * Versions of the directories of RUN --mount=type=cache, by scope. A version stands on the one that it was made from, of its
 * own or an inherited scope; `replaced` is one of its scope that it did not stand on and did not merge. `blobs` are the
 * manifest and all packs. A lock holds as long as the claim that took it.
 */
export const cacheMounts = {
  number: 17,
  name: 'cache-mounts',
  sql: `
CREATE TABLE cache_mounts (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  mount text NOT NULL,
  id text NOT NULL,
  last_version bigint NOT NULL,
  PRIMARY KEY (project_id, scope_id, mount),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);

CREATE TABLE cache_mount_versions (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  mount text NOT NULL,
  version bigint NOT NULL,
  base_scope_id text,
  base_version bigint,
  replaced bigint,
  manifest text NOT NULL,
  blobs text[] NOT NULL,
  size_bytes bigint NOT NULL,
  stored_bytes bigint NOT NULL,
  entries bigint NOT NULL,
  build_id text NOT NULL,
  builder_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  used_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope_id, mount, version),
  FOREIGN KEY (project_id, scope_id, mount) REFERENCES cache_mounts (project_id, scope_id, mount) ON DELETE CASCADE
);
CREATE INDEX cache_mount_versions_by_blob ON cache_mount_versions USING gin (blobs);
CREATE INDEX cache_mount_versions_by_use ON cache_mount_versions (used_at);

CREATE TABLE cache_mount_locks (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  mount text NOT NULL,
  holder text NOT NULL,
  build_id text NOT NULL,
  fence bigint NOT NULL,
  PRIMARY KEY (project_id, scope_id, mount),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);
`,
} as const;

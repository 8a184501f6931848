/**
 * Payloads are `json`, not `jsonb`: a step may print NUL and lone surrogates, which only `json` keeps.
 * A build's `fence` is drawn anew at each claim, so that an older hold is told by its number.
 */
export const initial = {
  number: 1,
  name: 'initial',
  sql: `
CREATE TABLE projects (
  id text PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE scopes (
  project_id text NOT NULL REFERENCES projects (id),
  id text NOT NULL UNIQUE,
  name text NOT NULL,
  parent_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, id),
  UNIQUE (project_id, name),
  FOREIGN KEY (project_id, parent_id) REFERENCES scopes (project_id, id),
  CHECK (parent_id <> id)
);

CREATE TABLE tokens (
  project_id text NOT NULL,
  id text PRIMARY KEY,
  scope_id text NOT NULL,
  sha256 bytea NOT NULL UNIQUE,
  permissions text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);

CREATE SEQUENCE build_fences;

CREATE TABLE builds (
  project_id text NOT NULL,
  id text PRIMARY KEY,
  scope_id text NOT NULL,
  state text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  attempt integer NOT NULL DEFAULT 1,
  fence bigint,
  owner text,
  heartbeat_at timestamptz,
  last_seq bigint NOT NULL DEFAULT 0,
  request json NOT NULL,
  dockerfile_text json,
  context_digest text NOT NULL,
  context_files integer NOT NULL,
  context_bytes bigint NOT NULL,
  context_sent_bytes bigint NOT NULL,
  idempotency_key text,
  fingerprint text NOT NULL,
  sealed bytea,
  cancel_requested_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  queued_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  finished_at timestamptz,
  result json,
  failure json,
  UNIQUE (project_id, id),
  UNIQUE (project_id, idempotency_key),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);
CREATE INDEX builds_by_time ON builds (project_id, created_at DESC, id DESC);
CREATE INDEX builds_alive ON builds (state, queued_at) WHERE state IN ('queued', 'running');

CREATE TABLE build_events (
  project_id text NOT NULL,
  build_id text NOT NULL,
  seq bigint NOT NULL,
  type text NOT NULL,
  payload json NOT NULL,
  PRIMARY KEY (build_id, seq),
  FOREIGN KEY (project_id, build_id) REFERENCES builds (project_id, id) ON DELETE CASCADE
);

CREATE TABLE steps (
  project_id text NOT NULL,
  build_id text NOT NULL,
  vertex text NOT NULL,
  position integer NOT NULL,
  name text NOT NULL,
  stage text NOT NULL,
  line integer NOT NULL,
  step boolean NOT NULL,
  state text NOT NULL DEFAULT 'pending',
  started_at timestamptz,
  duration_ms double precision,
  hit json,
  miss text,
  empty boolean NOT NULL DEFAULT false,
  PRIMARY KEY (build_id, vertex),
  FOREIGN KEY (project_id, build_id) REFERENCES builds (project_id, id) ON DELETE CASCADE
);

CREATE TABLE results (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  id text NOT NULL,
  version bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
  parents text[] NOT NULL,
  layers json NOT NULL,
  blobs text[] NOT NULL,
  tree text NOT NULL,
  empty boolean NOT NULL,
  cost_ms double precision NOT NULL,
  size_bytes bigint NOT NULL,
  started_at_ms double precision NOT NULL,
  finished_at_ms double precision NOT NULL,
  producer_build text NOT NULL,
  producer_builder text NOT NULL,
  producer_scope text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope_id, id),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id)
);
CREATE INDEX results_by_blob ON results USING gin (blobs);

CREATE SEQUENCE record_versions;

CREATE TABLE records (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  key text NOT NULL,
  result_id text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('definition', 'content', 'trace')),
  op text NOT NULL,
  preimage json NOT NULL,
  version bigint NOT NULL DEFAULT nextval('record_versions'),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope_id, key, result_id),
  FOREIGN KEY (project_id, scope_id, result_id) REFERENCES results (project_id, scope_id, id) ON DELETE CASCADE
);
CREATE INDEX records_by_result ON records (project_id, scope_id, result_id);
CREATE INDEX records_by_op ON records (project_id, scope_id, op);

CREATE TABLE blobs (
  digest text PRIMARY KEY,
  size_bytes bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE grants (
  project_id text NOT NULL REFERENCES projects (id),
  digest text NOT NULL REFERENCES blobs (digest),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, digest)
);

CREATE TABLE layer_deltas (
  project_id text NOT NULL REFERENCES projects (id),
  diff_id text NOT NULL,
  media_type text NOT NULL,
  digest text NOT NULL,
  size_bytes bigint NOT NULL,
  PRIMARY KEY (project_id, diff_id)
);
CREATE INDEX layer_deltas_by_digest ON layer_deltas (project_id, digest);

CREATE TABLE image_tags (
  project_id text NOT NULL REFERENCES projects (id),
  reference text NOT NULL,
  platform text NOT NULL,
  digest text NOT NULL,
  manifest json NOT NULL,
  config json NOT NULL,
  stand_in boolean NOT NULL,
  resolved_at timestamptz NOT NULL,
  PRIMARY KEY (project_id, reference, platform)
);

CREATE TABLE builders (
  id text PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('ready', 'draining', 'stopped')),
  pid integer,
  credentials_sha256 bytea,
  started_at timestamptz NOT NULL DEFAULT now(),
  heartbeat_at timestamptz NOT NULL DEFAULT now()
);
`,
} as const;

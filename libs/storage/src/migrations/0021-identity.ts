/**
 * Teams with projects and members; tokens with names, of members or of projects; who did what.
 *
 * `tokens.subject`: whom an id token named, of a token that was exchanged for it. `audit_entries` refer to nothing: they outlast
 * what they tell of. Those without a project are of the team; without token and member, of the farm's operator.
 */
export const identity = {
  number: 21,
  name: 'identity',
  sql: `
CREATE TABLE teams (
  id text PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO teams (id, name) VALUES ('default', 'default');

ALTER TABLE projects ADD COLUMN team_id text NOT NULL DEFAULT 'default' REFERENCES teams (id);
CREATE INDEX projects_by_team ON projects (team_id, name);

CREATE TABLE members (
  team_id text NOT NULL REFERENCES teams (id),
  id text PRIMARY KEY,
  name text NOT NULL,
  role smallint NOT NULL CHECK (role BETWEEN 0 AND 3),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (team_id, name)
);

ALTER TABLE tokens
  ADD COLUMN name text NOT NULL DEFAULT 'unnamed',
  ADD COLUMN member_id text REFERENCES members (id) ON DELETE CASCADE,
  ADD COLUMN subject text,
  ADD COLUMN last_used_at timestamptz;
UPDATE tokens SET permissions = ARRAY(
  SELECT DISTINCT CASE given WHEN 'builds:write' THEN 'build' WHEN 'builds:read' THEN 'read' ELSE given END
  FROM unnest(permissions) AS given);
CREATE INDEX tokens_by_time ON tokens (project_id, created_at DESC, id DESC);
CREATE INDEX tokens_by_member ON tokens (member_id) WHERE member_id IS NOT NULL;
CREATE INDEX tokens_by_end ON tokens (least(expires_at, revoked_at));

CREATE TABLE audit_entries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  team_id text NOT NULL,
  project_id text,
  token_id text,
  member text,
  action text NOT NULL,
  target text NOT NULL,
  detail json NOT NULL
);
CREATE INDEX audit_entries_by_project ON audit_entries (project_id, id DESC);
CREATE INDEX audit_entries_by_age ON audit_entries (at);
CREATE INDEX audit_entries_by_team ON audit_entries (team_id, id DESC) WHERE project_id IS NULL;
`,
} as const;

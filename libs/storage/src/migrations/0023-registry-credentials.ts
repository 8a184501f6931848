/** Credentials of a project for registries, sealed with the farm's key; `min_trust`: of the scopes whose builds get them. */
export const registryCredentials = {
  number: 23,
  name: 'registry-credentials',
  sql: `
CREATE TABLE registry_credentials (
  project_id text NOT NULL REFERENCES projects (id),
  host text NOT NULL,
  username text,
  min_trust smallint NOT NULL CHECK (min_trust BETWEEN 1 AND 4),
  sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, host)
);
`,
} as const;

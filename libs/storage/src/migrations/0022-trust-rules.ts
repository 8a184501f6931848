/** Whose id tokens are exchanged for tokens of a project; `claims` are patterns by the names of claims. */
export const trustRules = {
  number: 22,
  name: 'trust-rules',
  sql: `
CREATE TABLE trust_rules (
  project_id text NOT NULL REFERENCES projects (id),
  id text PRIMARY KEY,
  name text NOT NULL,
  issuer text NOT NULL,
  audience text NOT NULL,
  claims json NOT NULL,
  scope text NOT NULL,
  parent_id text,
  trust smallint NOT NULL CHECK (trust BETWEEN 0 AND 4),
  permissions text[] NOT NULL,
  lifetime_seconds integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (project_id, parent_id) REFERENCES scopes (project_id, id)
);
CREATE INDEX trust_rules_by_project ON trust_rules (project_id, created_at);
CREATE INDEX trust_rules_by_issuer ON trust_rules (issuer);
`,
} as const;

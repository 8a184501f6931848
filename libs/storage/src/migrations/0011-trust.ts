/**
 * How far a scope is trusted, from 0 (a fork's pull request) to 4 (a release); see libs/storage/src/trust.ts. What a scope
 * inherits is trusted as far at least: the database itself refuses anything else. A scope of before is a protected branch where
 * it inherits nothing, else a branch.
 *
 * `cache_shares`: builds of `reader_id` read what is in the scope, where it is trusted as far as their own.
 */
export const trust = {
  number: 11,
  name: 'trust',
  sql: `
ALTER TABLE scopes ADD COLUMN trust smallint, ADD COLUMN parent_trust smallint;
UPDATE scopes SET trust = CASE WHEN parent_id IS NULL THEN 3 ELSE 2 END;
UPDATE scopes s SET parent_trust = p.trust FROM scopes p WHERE p.project_id = s.project_id AND p.id = s.parent_id;
ALTER TABLE scopes
  ALTER COLUMN trust SET NOT NULL,
  ADD CHECK (trust BETWEEN 0 AND 4),
  ADD CHECK (parent_trust >= trust),
  ADD CHECK ((parent_id IS NULL) = (parent_trust IS NULL)),
  ADD UNIQUE (project_id, id, trust),
  ADD FOREIGN KEY (project_id, parent_id, parent_trust) REFERENCES scopes (project_id, id, trust);

CREATE TABLE cache_shares (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  reader_id text NOT NULL REFERENCES projects (id),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope_id, reader_id),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id),
  CHECK (reader_id <> project_id)
);
CREATE INDEX cache_shares_by_reader ON cache_shares (reader_id);
`,
} as const;

/**
 * Images that instructions gave (libs/storage/src/image-steps.ts), by the digests of their configs, each with the build that
 * made it first in its scope. Of no bytes: nothing is kept for them.
 */
export const imageSteps = {
  number: 36,
  name: 'image-steps',
  sql: `
CREATE TABLE image_steps (
  project_id text NOT NULL,
  scope_id text NOT NULL,
  id text NOT NULL,
  build_id text NOT NULL,
  used_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, scope_id, id),
  FOREIGN KEY (project_id, scope_id) REFERENCES scopes (project_id, id) ON DELETE CASCADE
);
CREATE INDEX image_steps_by_use ON image_steps (used_at);
`,
} as const;

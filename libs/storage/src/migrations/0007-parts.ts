/**
 * What builders can run: platforms of their processor, and those that they emulate. A part is a build for some steps of another
 * one, its parent, on a builder that runs `part_platform`; `part` says which.
 */
export const parts = {
  number: 7,
  name: 'parts',
  sql: `
ALTER TABLE builders ADD COLUMN platforms text[] NOT NULL DEFAULT '{}', ADD COLUMN emulated text[] NOT NULL DEFAULT '{}';
ALTER TABLE builds ADD COLUMN parent_id text, ADD COLUMN part_platform text, ADD COLUMN part json,
  ADD FOREIGN KEY (project_id, parent_id) REFERENCES builds (project_id, id) ON DELETE CASCADE,
  ADD CHECK ((parent_id IS NULL) = (part IS NULL) AND (parent_id IS NULL) = (part_platform IS NULL));
CREATE INDEX builds_by_parent ON builds (parent_id) WHERE parent_id IS NOT NULL;
`,
} as const;

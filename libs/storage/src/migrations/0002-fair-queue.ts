/**
 * `turn` orders queued builds, the lowest first (build-ledger.ts). `losses` counts the builders that died with a build, which a
 * builder that gave it back is not one of.
 */
export const fairQueue = {
  number: 2,
  name: 'fair-queue',
  sql: `
ALTER TABLE builds ADD COLUMN turn bigint NOT NULL DEFAULT 0, ADD COLUMN losses integer NOT NULL DEFAULT 0;
CREATE INDEX builds_by_turn ON builds (turn, created_at) WHERE state = 'queued';
CREATE INDEX builds_served ON builds (turn) WHERE started_at IS NOT NULL;
CREATE INDEX builds_of_project_by_turn ON builds (project_id, turn) WHERE state = 'queued' OR started_at IS NOT NULL;
CREATE INDEX builds_by_owner ON builds (owner) WHERE state = 'running';
ALTER TABLE builders ADD COLUMN slots integer NOT NULL DEFAULT 1;
`,
} as const;

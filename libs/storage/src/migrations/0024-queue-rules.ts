/**
 * What a build is of: branch, commit and author; which one it repeats, and which one took its place.
 *
 * `priority` is among the queued builds of one project: which of them gets the turn that comes. `ticket_build`,
 * `ticket_attempt`: the job that brings a queued build to a builder, where that is another's whose turn it has
 * (libs/storage/src/take-turn.ts). `max_running`, `max_queued`: of a project, set by the farm's operator.
 */
export const queueRules = {
  number: 24,
  name: 'queue-rules',
  sql: `
ALTER TABLE builds
  ADD COLUMN source_branch text,
  ADD COLUMN source_commit text,
  ADD COLUMN source_author text,
  ADD COLUMN retry_of text,
  ADD COLUMN superseded_by text,
  ADD COLUMN priority smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN -1 AND 1),
  ADD COLUMN ticket_build text,
  ADD COLUMN ticket_attempt integer,
  ADD CHECK ((ticket_build IS NULL) = (ticket_attempt IS NULL));
CREATE INDEX builds_by_branch ON builds (project_id, source_branch, created_at DESC) WHERE source_branch IS NOT NULL;
CREATE INDEX builds_by_commit ON builds (project_id, source_commit text_pattern_ops) WHERE source_commit IS NOT NULL;
CREATE INDEX builds_by_ticket ON builds (ticket_build) WHERE state = 'queued' AND ticket_build IS NOT NULL;
CREATE INDEX builds_of_project_at_work ON builds (project_id, state, priority DESC, created_at, id)
  WHERE state IN ('queued', 'running') AND parent_id IS NULL;
ALTER TABLE projects
  ADD COLUMN max_running integer CHECK (max_running >= 0),
  ADD COLUMN max_queued integer NOT NULL DEFAULT 10000 CHECK (max_queued >= 0);
`,
} as const;

import { STATISTICS_NAME_LENGTH } from '#protocol';
import type { Sql } from './database.ts';

/** Of a step that ran: what its cause comes to in a word. Causes are as `MissCause` (libs/protocol) has them. */
const causeWord = `CASE own.cause->>'kind'
    WHEN 'changed' THEN own.cause->'changes'->0->>'kind'
    WHEN 'gone' THEN own.cause->>'reason'
    ELSE coalesce(own.cause->>'kind', 'unknown') END`;

/** Of step `s`: its own cause, where it ran only for what it stands on that one's. */
const ownCause = `LATERAL (SELECT CASE WHEN s.cause->>'kind' = 'followed' THEN s.cause->'cause' ELSE s.cause END AS cause) own`;

/** Name of step `s` without its number, as statistics have it; `statisticsNameOf` (libs/protocol) is the same. */
const stepName = `left(regexp_replace(regexp_replace(s.name, '^\\[ *[0-9]+/[0-9]+\\] ', ''),
  '^(\\[[^]]*?) *[0-9]+/[0-9]+\\]', '\\1]'), ${STATISTICS_NAME_LENGTH})`;

/**
 * Whether build `b` has a step that statistics count under a name, a cause and an outcome; without an outcome, one that it had to
 * run. @param values numbers of parameters
 */
export const hasStep = (values: {
  readonly step: number;
  readonly cause: number;
  readonly outcome: number;
}): string => `EXISTS (
  SELECT FROM steps s CROSS JOIN ${ownCause}
  WHERE s.build_id = b.id AND s.step
    AND s.state = ANY (CASE WHEN coalesce($${values.outcome}::text, 'miss') = 'miss' THEN ARRAY['run', 'failed'] ELSE ARRAY[$${values.outcome}] END)
    AND ($${values.step}::text IS NULL OR ${stepName} = $${values.step})
    AND ($${values.cause}::text IS NULL OR ${causeWord} = $${values.cause}))`;

/** Steps of the builds $1 that count. */
const counted = `SELECT b.project_id, b.scope_id, b.id AS build_id, b.finished_at, (b.finished_at AT TIME ZONE 'UTC')::date AS day, b.source_branch AS branch,
         b.request->>'dockerfile' AS dockerfile,
         ${stepName} AS step,
         CASE WHEN s.state IN ('run', 'failed') THEN 'miss' ELSE s.state END AS outcome,
         CASE WHEN s.state IN ('run', 'failed') THEN ${causeWord} ELSE '' END AS cause,
         s.cause->>'kind' = 'followed' AS followed, s.hit, s.duration_ms
       FROM builds b JOIN steps s ON s.build_id = b.id AND s.step
       CROSS JOIN ${ownCause}
       WHERE b.id = ANY ($1::text[]) AND b.parent_id IS NULL AND s.state IN ('hit', 'joined', 'run', 'failed')`;

/** Of a project, for `farm_counters`. */
const shard = (project: string): string => `hashtext(${project}) & 15`;
const add = 'ON CONFLICT (shard, name, label) DO UPDATE SET value = t.value + excluded.value';

/**
 * Counts builds that end, in the transaction that ends them: so each build counts once. A part counts with its build. Rows are
 * written in one order, so that builds that end together never wait for each other in a ring: a transaction that ends several
 * counts them all at once, as the last thing that it does.
 */
export async function countBuilds(sql: Sql, buildIds: readonly string[]): Promise<void> {
  if (buildIds.length === 0) return;
  await sql.execute(
    `WITH counted AS (${counted})
     INSERT INTO step_statistics AS t (project_id, scope_id, day, dockerfile, step, outcome, cause, steps, followed,
       saved_ms, saved_bytes, spent_ms, last_build)
     SELECT project_id, scope_id, day, dockerfile, step, outcome, cause, count(*), count(*) FILTER (WHERE followed),
       coalesce(sum((hit->>'savedMs')::float8), 0), coalesce(sum((hit->>'savedBytes')::bigint), 0),
       coalesce(sum(duration_ms) FILTER (WHERE outcome = 'miss'), 0),
       (array_agg(build_id ORDER BY finished_at DESC, build_id) FILTER (WHERE outcome = 'miss'))[1]
     FROM counted GROUP BY project_id, scope_id, day, dockerfile, step, outcome, cause
     ORDER BY project_id, day, scope_id, dockerfile, step, outcome, cause
     ON CONFLICT (project_id, day, scope_id, dockerfile, step, outcome, cause) DO UPDATE SET
       steps = t.steps + excluded.steps, followed = t.followed + excluded.followed,
       saved_ms = t.saved_ms + excluded.saved_ms, saved_bytes = t.saved_bytes + excluded.saved_bytes,
       spent_ms = t.spent_ms + excluded.spent_ms, last_build = coalesce(excluded.last_build, t.last_build)`,
    [buildIds],
  );
  await sql.execute(
    `INSERT INTO branch_statistics AS t (project_id, scope_id, day, branch, hits, joined, misses, followed, saved_ms, saved_bytes,
       spent_ms)
     SELECT c.project_id, c.scope_id, c.day, coalesce(c.branch, ''), count(*) FILTER (WHERE outcome = 'hit'),
       count(*) FILTER (WHERE outcome = 'joined'), count(*) FILTER (WHERE outcome = 'miss'), count(*) FILTER (WHERE followed),
       coalesce(sum((hit->>'savedMs')::float8), 0), coalesce(sum((hit->>'savedBytes')::bigint), 0),
       coalesce(sum(duration_ms) FILTER (WHERE outcome = 'miss'), 0)
     FROM (${counted}) c GROUP BY 1, 2, 3, 4 ORDER BY 1, 3, 2, 4
     ON CONFLICT (project_id, day, scope_id, branch) DO UPDATE SET
       hits = t.hits + excluded.hits, joined = t.joined + excluded.joined, misses = t.misses + excluded.misses,
       followed = t.followed + excluded.followed, saved_ms = t.saved_ms + excluded.saved_ms,
       saved_bytes = t.saved_bytes + excluded.saved_bytes, spent_ms = t.spent_ms + excluded.spent_ms`,
    [buildIds],
  );
  await sql.execute(
    `INSERT INTO build_statistics AS t (project_id, scope_id, day, builds, cached_builds)
     SELECT b.project_id, b.scope_id, (b.finished_at AT TIME ZONE 'UTC')::date, count(*),
       count(*) FILTER (WHERE b.state = 'succeeded' AND NOT EXISTS (
         SELECT FROM steps s WHERE s.build_id = b.id AND s.step AND s.state NOT IN ('hit', 'joined')))
     FROM builds b WHERE b.id = ANY ($1::text[]) AND b.parent_id IS NULL
       AND coalesce(b.request->>'call', 'build') NOT IN ('push', 'run') GROUP BY 1, 2, 3 ORDER BY 1, 3, 2
     ON CONFLICT (project_id, day, scope_id) DO UPDATE SET
       builds = t.builds + excluded.builds, cached_builds = t.cached_builds + excluded.cached_builds`,
    [buildIds],
  );
  await sql.execute(
    `WITH counted AS (${counted}),
       figures AS (
         SELECT project_id, f.name, f.label, f.value FROM counted CROSS JOIN LATERAL (VALUES
           ('steps', outcome, 1::float8),
           ('misses', cause, CASE WHEN outcome = 'miss' THEN 1 END),
           ('saved_ms', '', (hit->>'savedMs')::float8),
           ('saved_bytes', '', (hit->>'savedBytes')::float8),
           ('spent_ms', '', CASE WHEN outcome = 'miss' THEN duration_ms END)) AS f (name, label, value)
         UNION ALL SELECT project_id, 'builds_ended', state, 1 FROM builds WHERE id = ANY ($1::text[]) AND parent_id IS NULL)
     INSERT INTO farm_counters AS t (shard, name, label, value)
     SELECT ${shard('project_id')}, name, label, sum(value) FROM figures WHERE value IS NOT NULL
     GROUP BY 1, name, label ORDER BY 1, name, label ${add}`,
    [buildIds],
  );
}

/** Counts a build that is accepted, in the transaction that accepts it. */
export async function countAccepted(sql: Sql, projectId: string): Promise<void> {
  await sql.execute(
    `INSERT INTO farm_counters AS t (shard, name, label, value) VALUES (${shard('$1')}, 'builds_submitted', '', 1) ${add}`,
    [projectId],
  );
}

/** Counts builds whose builder was missed, in the transaction that takes them from it; after {@link countBuilds}, which says why. */
export async function countLost(sql: Sql, buildIds: readonly string[]): Promise<void> {
  if (buildIds.length === 0) return;
  await sql.execute(
    `INSERT INTO farm_counters AS t (shard, name, label, value)
     SELECT ${shard('project_id')}, 'builds_lost', '', count(*) FROM builds
     WHERE id = ANY ($1::text[]) AND parent_id IS NULL GROUP BY 1 ORDER BY 1 ${add}`,
    [buildIds],
  );
}

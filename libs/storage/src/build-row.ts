import { z } from 'zod';
import { DigestSchema } from '#oci';
import { BuildFailure, BuildResult, BuildState, type BuildView, StoredRequest } from '#protocol';
import type { StoredContext } from './claim.ts';
import { bigintColumn } from './database.ts';

/** A build as the API shows it, but for its address. */
export type StoredBuild = Omit<BuildView, 'url'>;

/** Of `builds b`: one whose answer is out has succeeded, whatever is still written for others. */
export const shownState = "CASE WHEN b.state = 'running' AND b.result IS NOT NULL THEN 'succeeded' ELSE b.state END";

/** Columns of {@link BuildRow}, from `builds b`. */
export const buildColumns = `b.id, b.project_id, b.scope_id, ${shownState} AS state, b.attempt, b.last_seq, b.request,
  b.context_digest, b.context_files, b.context_bytes, b.context_sent_bytes, b.named_contexts,
  b.retry_of, b.superseded_by, b.created_at, b.started_at, b.finished_at, b.result, b.failure,
  (SELECT name FROM projects WHERE id = b.project_id) AS project,
  (SELECT name FROM scopes WHERE id = b.scope_id) AS scope`;

/** A Dockerfile of its own can be megabytes: lists leave it out. */
export const wholeBuildColumns = `${buildColumns}, b.dockerfile_text`;

const NamedContextColumn = z.object({
  name: z.string(),
  digest: DigestSchema,
  files: z.int(),
  sizeBytes: z.int(),
  sentBytes: z.int(),
});

export const BuildRow = z.object({
  id: z.string(),
  project_id: z.string(),
  project: z.string(),
  scope_id: z.string(),
  scope: z.string(),
  state: BuildState,
  attempt: z.int(),
  last_seq: bigintColumn,
  request: StoredRequest,
  dockerfile_text: z.string().nullish(),
  context_digest: DigestSchema,
  context_files: z.int(),
  context_bytes: bigintColumn,
  context_sent_bytes: bigintColumn,
  named_contexts: z.array(NamedContextColumn),
  retry_of: z.string().nullable(),
  superseded_by: z.string().nullable(),
  created_at: z.date(),
  started_at: z.date().nullable(),
  finished_at: z.date().nullable(),
  result: BuildResult.nullable(),
  failure: BuildFailure.nullable(),
});
export type BuildRow = z.infer<typeof BuildRow>;

export function requestOf({ request, dockerfile_text: dockerfileText }: BuildRow): StoredRequest {
  return dockerfileText === null || dockerfileText === undefined ? request : { ...request, dockerfileText };
}

export function storedContext(row: BuildRow): StoredContext {
  return {
    digest: row.context_digest,
    files: row.context_files,
    sizeBytes: row.context_bytes,
    sentBytes: row.context_sent_bytes,
  };
}

export function storedBuild(row: BuildRow): StoredBuild {
  return {
    id: row.id,
    project: row.project,
    scope: row.scope,
    ...(row.retry_of === null ? {} : { retryOf: row.retry_of }),
    ...(row.superseded_by === null ? {} : { supersededBy: row.superseded_by }),
    state: row.state,
    attempt: row.attempt,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
    request: requestOf(row),
    context: { digest: row.context_digest, files: row.context_files, sizeBytes: row.context_bytes },
    result: row.result,
    failure: row.failure,
  };
}

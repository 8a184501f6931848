import { z } from 'zod';
import { StoredRequest } from '#protocol';
import { canonicalJson } from '#std';
import type { Sql } from './database.ts';
import { imageNamesOf } from './list-builds.ts';

/** Builds that are looked at in one go. */
const PAGE = 1_000;
const Candidate = z.object({ id: z.string(), state: z.enum(['queued', 'running']), request: StoredRequest });
export type Superseded = Pick<z.infer<typeof Candidate>, 'id' | 'state'>;

export interface Superseding {
  readonly projectId: string;
  readonly scopeId: string;
  readonly id: string;
  readonly request: StoredRequest;
}

/**
 * Asks for the end of what is still built of other commits of a build's branch, in the caller's transaction, and holds these
 * builds to its end. Of one commit nothing is superseded: the jobs of one pipeline build it in several ways.
 * @returns the builds, of which those that are queued are the caller's to end
 */
export async function supersede(
  sql: Sql,
  { projectId, scopeId, id, request }: Superseding,
): Promise<readonly Superseded[]> {
  const { branch, commit } = request.source;
  if (!request.supersede || branch === undefined || commit === undefined) return [];
  const subject = subjectOf(request);
  const superseded: Superseded[] = [];
  for (let after = ''; ; ) {
    const page = await sql.query(
      Candidate,
      `SELECT id, state, request FROM builds
       WHERE project_id = $1 AND scope_id = $2 AND source_branch = $3 AND id <> $4 AND parent_id IS NULL
         AND source_commit IS DISTINCT FROM $5 AND id > $6
         AND state IN ('queued', 'running') AND cancel_requested_at IS NULL AND result IS NULL
       ORDER BY id LIMIT ${PAGE} FOR UPDATE`,
      [projectId, scopeId, branch, id, commit, after],
    );
    const old = page.filter((each) => subjectOf(each.request) === subject);
    await sql.execute('UPDATE builds SET cancel_requested_at = now(), superseded_by = $2 WHERE id = ANY ($1)', [
      old.map((each) => each.id),
      id,
    ]);
    superseded.push(...old.map((each) => ({ id: each.id, state: each.state })));
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return superseded;
    after = last.id;
  }
}

/** The same for builds that are of the same thing at different times. */
function subjectOf(request: StoredRequest): string {
  const { repository = '', pullRequest = '' } = request.source;
  const { call, dockerfile, target = '', platforms } = request;
  // Tags tell of the commit, as often as not.
  const images = imageNamesOf(request).filter((name) => !name.includes(':', name.lastIndexOf('/')));
  return canonicalJson({
    ...{ repository, pullRequest, call, dockerfile, target },
    platforms: [...platforms].sort(),
    images: [...images].sort(),
  });
}

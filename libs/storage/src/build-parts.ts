import { z } from 'zod';
import type { QueuedBuild, StoredRequest } from '#protocol';
import { KilnError } from '#std';
import { holdFence } from './build-claims.ts';
import type { Claim } from './claim.ts';
import { bigintColumn, type Database, type Sql } from './database.ts';

/** Some steps of a build, to be run by a builder that is fit for them. */
export interface NewPart {
  /** drawn by the caller: what is sealed is bound to it */
  readonly id: string;
  /** `os/architecture[/variant]` */
  readonly platform: string;
  /** JSON of the engine */
  readonly part: string;
  /** the same for the same steps on the same results */
  readonly fingerprint: string;
  readonly sealed: Uint8Array | null;
}

const Waiting = z.object({ id: z.string(), attempt: z.int(), turn: bigintColumn });
const Orphan = z.object({ project_id: z.string(), id: z.string() });

/** Parts are builds of their own kind: with claims, events and an end, but without outputs, and in no list. */
export class BuildParts {
  constructor(readonly db: Database) {}

  /**
   * Makes a part of a claimed build; one of this build that is at work on the same is taken over instead.
   * @throws KilnError FENCED when the claim has been lost
   */
  async create(claim: Claim, part: NewPart): Promise<QueuedBuild> {
    return await this.db.transaction(async (sql) => {
      await holdFence(sql, claim);
      const [known] = await sql.query(
        Waiting,
        `SELECT id, attempt, turn FROM builds
         WHERE parent_id = $1 AND fingerprint = $2 AND state IN ('queued', 'running') AND cancel_requested_at IS NULL`,
        [claim.buildId, part.fingerprint],
      );
      const row = known ?? (await insert(sql, claim, part));
      return { buildId: row.id, attempt: row.attempt, turn: row.turn, platform: part.platform };
    });
  }

  /** Those that are at work for a build. */
  async open(buildId: string): Promise<readonly string[]> {
    const rows = await this.db.query(
      Orphan,
      "SELECT project_id, id FROM builds WHERE parent_id = $1 AND state IN ('queued', 'running')",
      [buildId],
    );
    return rows.map(({ id }) => id);
  }

  /** Those at work whose build has ended, and that nobody has cancelled yet. */
  async orphans(): Promise<readonly { readonly projectId: string; readonly id: string }[]> {
    const rows = await this.db.query(
      Orphan,
      `SELECT c.project_id, c.id FROM builds c JOIN builds p ON p.id = c.parent_id
       WHERE c.state IN ('queued', 'running') AND c.cancel_requested_at IS NULL AND p.state NOT IN ('queued', 'running')`,
    );
    return rows.map(({ project_id: projectId, id }) => ({ projectId, id }));
  }
}

async function insert(sql: Sql, claim: Claim, part: NewPart): Promise<z.infer<typeof Waiting>> {
  // What was fetched is pinned in the part; only what the client sent is looked up again.
  const contexts = Object.fromEntries(
    Object.entries(claim.request.contexts).filter(([, { type }]) => type === 'local'),
  );
  const { dockerfileText, ...request }: StoredRequest = { ...claim.request, contexts, outputs: [], tags: [] };
  const [row] = await sql.query(
    Waiting,
    // Its turn is that of its build: what has begun is to end.
    `INSERT INTO builds (project_id, id, scope_id, state, request, dockerfile_text, context_digest, context_files,
       context_bytes, context_sent_bytes, named_contexts, sealed, fingerprint, turn, parent_id, part_platform, part)
     SELECT project_id, $2, scope_id, 'queued', $3, $4, context_digest, context_files, context_bytes, 0, named_contexts, $5, $6, turn, id,
       $7, $8 FROM builds WHERE id = $1
     RETURNING id, attempt, turn`,
    [
      claim.buildId,
      part.id,
      JSON.stringify({ ...request, platforms: [part.platform] }),
      dockerfileText === undefined ? null : JSON.stringify(dockerfileText),
      part.sealed,
      part.fingerprint,
      part.platform,
      part.part,
    ],
  );
  if (row === undefined) throw new KilnError('INTERNAL', `the build ${claim.buildId} is gone`);
  return row;
}

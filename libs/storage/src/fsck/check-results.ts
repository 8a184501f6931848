import { z } from 'zod';
import { buryResults } from '../bury-results.ts';
import { bigintColumn, type Database, type Sql } from '../database.ts';
import type { Finding } from './finding.ts';

const ROWS = 500;
const Page = z.object({ rows: bigintColumn, last: z.string().nullable() });
const Bad = z.object({
  version: z.string(),
  project_id: z.string(),
  id: z.string(),
  why: z.enum(['layers', 'parents']),
});

const page = `page AS MATERIALIZED (SELECT * FROM results WHERE version > $1::bigint ORDER BY version LIMIT ${ROWS})`;

/**
 * Results of a page that are not what they say: the collector frees by `blobs`, and builds read by `layers`. One that stands
 * on a step (its layer but one was made by one) has a parent; where another project's scope is read, it may be gone.
 */
const BAD = `WITH ${page} SELECT r.version::text, r.project_id, r.id,
    CASE WHEN l.wrong THEN 'layers' ELSE 'parents' END AS why
  FROM page r, LATERAL (SELECT EXISTS (
    SELECT FROM json_array_elements(r.layers) AS e,
      LATERAL (VALUES (e->'descriptor'->>'digest'), (e->'delta'->>'digest')) AS v (digest)
    WHERE v.digest IS NULL OR NOT v.digest = ANY (r.blobs)) AS wrong) l
  WHERE l.wrong OR (
    r.layers->-2->>'createdAtMs' IS NOT NULL AND r.created_at < now() - $2 * interval '1 millisecond'
    AND NOT EXISTS (SELECT FROM results p WHERE p.id = ANY (r.parents))
    AND NOT EXISTS (SELECT FROM cache_shares s WHERE s.reader_id = r.project_id))`;

const texts = {
  layers: 'keeps other blobs than its layers are',
  parents: 'stands on a result that is gone',
} as const;

interface ResultsCheck {
  readonly db: Database;
  readonly repair: boolean;
  readonly graceMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Results and what they say of themselves, page by page. A result that is wrong is buried: its step runs again. */
export async function* checkResults({ db, repair, graceMs, signal }: ResultsCheck): AsyncIterable<readonly Finding[]> {
  for (let after = '0', rows = ROWS; rows === ROWS; ) {
    signal?.throwIfAborted();
    const bad = await db.query(Bad, BAD, [after, graceMs]);
    if (repair && bad.length > 0) await db.transaction((sql) => bury(sql, bad));
    yield bad.map(({ id, project_id: project, why }) => ({
      kind: 'result',
      message: `result ${id} of project ${project} ${texts[why]}`,
      mended: repair,
    }));
    // What stood on these stands on nothing now.
    if (repair && bad.length > 0) continue;
    const [next] = await db.query(Page, `WITH ${page} SELECT count(*) AS rows, max(version)::text AS last FROM page`, [
      after,
    ]);
    rows = next?.rows ?? 0;
    after = next?.last ?? after;
  }
}

async function bury(sql: Sql, bad: readonly z.infer<typeof Bad>[]): Promise<void> {
  const versions = bad.map(({ version }) => version);
  await sql.execute('SELECT FROM results WHERE version = ANY ($1::bigint[]) ORDER BY version FOR UPDATE', [versions]);
  for (const [projectId, rows] of Map.groupBy(bad, (row) => row.project_id))
    await buryResults(sql, projectId, { versions: rows.map(({ version }) => version), reason: 'lost' });
}

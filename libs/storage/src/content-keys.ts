import { z } from 'zod';
import type { CacheKey, OpKey, ResultId } from '#cache';
import { DigestSchema } from '#oci';
import type { Claim } from './claim.ts';
import type { Database } from './database.ts';

/** A content key of a result, and of which operation. */
export interface ContentKeyRow {
  readonly result: ResultId;
  readonly key: CacheKey;
  readonly op: OpKey;
}

const Row = z.object({
  result_id: DigestSchema.transform((digest) => digest as ResultId),
  key: DigestSchema.transform((digest) => digest as CacheKey),
  op: DigestSchema.transform((digest) => digest as OpKey),
});

/** Content keys of results in the scopes that a build reads, of these operations alone. */
export async function findContentKeys(
  db: Database,
  { projectId, scopes }: Pick<Claim, 'projectId' | 'scopes'>,
  wanted: readonly Pick<ContentKeyRow, 'result' | 'op'>[],
): Promise<readonly ContentKeyRow[]> {
  if (wanted.length === 0) return [];
  const rows = await db.query(
    Row,
    `SELECT DISTINCT r.result_id, r.key, r.op
     FROM unnest($3::text[], $4::text[]) AS w (result_id, op)
     JOIN records r ON r.project_id = $1 AND r.scope_id = ANY ($2::text[]) AND r.result_id = w.result_id AND r.op = w.op
     WHERE r.kind = 'content' ORDER BY r.key`,
    [projectId, scopes.map(({ id }) => id), wanted.map(({ result }) => result), wanted.map(({ op }) => op)],
  );
  return rows.map(({ result_id: result, key, op }) => ({ result, key, op }));
}

import { z } from 'zod';
import type { Sql } from './database.ts';
import { freeBlobs, keyColumns } from './free-image.ts';

const ROWS = 200;
const Row = z.object({ project_id: z.string(), scope_id: z.string(), digest: z.string() });

export interface ImageLimits {
  /** how long an image without a name is kept after its last use */
  readonly retentionMs: number;
  /** the same for one with a name */
  readonly imageRetentionMs: number;
}

/** Whether image `i` has not been used for too long; after $1 ms without a name, after $2 with one. */
const DUE = `i.used_at < now() - interval '1 millisecond' * CASE
  WHEN EXISTS (SELECT FROM image_names n WHERE n.project_id = i.project_id AND n.scope_id = i.scope_id AND n.digest = i.digest)
  THEN $2::float8 ELSE $1::float8 END`;

/** Forgets images that nobody built, tagged or pushed for a time. @returns how many */
export async function dropImages(sql: Sql, { retentionMs, imageRetentionMs }: ImageLimits): Promise<number> {
  const due = await sql.query(
    Row,
    `SELECT project_id, scope_id, digest FROM images i
     WHERE i.used_at < now() - least($1::float8, $2::float8) * interval '1 millisecond' AND ${DUE}
     ORDER BY i.used_at LIMIT ${ROWS}`,
    [retentionMs, imageRetentionMs],
  );
  if (due.length === 0) return 0;
  const keys = due.map((row) => ({ projectId: row.project_id, scopeId: row.scope_id, digest: row.digest }));
  await freeBlobs(sql, keys);
  // Who used one while its blobs were waited for keeps it.
  return await sql.execute(
    `DELETE FROM images i USING unnest($3::text[], $4::text[], $5::text[]) AS g (project_id, scope_id, digest)
     WHERE i.project_id = g.project_id AND i.scope_id = g.scope_id AND i.digest = g.digest AND ${DUE}`,
    [retentionMs, imageRetentionMs, ...keyColumns(keys)],
  );
}

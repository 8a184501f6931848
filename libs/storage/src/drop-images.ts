import { z } from 'zod';
import type { Sql } from './database.ts';
import { dropImage } from './drop-image.ts';

const ROWS = 200;
const Row = z.object({ project_id: z.string(), scope_id: z.string(), digest: z.string() });

export interface ImageLimits {
  /** how long an image without a name is kept after its last use */
  readonly retentionMs: number;
  /** the same for one with a name */
  readonly imageRetentionMs: number;
}

/** Forgets images that nobody built, tagged or pushed for a time. @returns how many */
export async function dropImages(sql: Sql, { retentionMs, imageRetentionMs }: ImageLimits): Promise<number> {
  const due = await sql.query(
    Row,
    `SELECT project_id, scope_id, digest FROM images i
     WHERE used_at < now() - least($1::float8, $2::float8) * interval '1 millisecond' AND used_at < now() - interval '1 millisecond' * CASE
       WHEN EXISTS (SELECT FROM image_names n WHERE n.project_id = i.project_id AND n.scope_id = i.scope_id AND n.digest = i.digest)
       THEN $2::float8 ELSE $1::float8 END
     ORDER BY used_at LIMIT ${ROWS} FOR UPDATE OF i SKIP LOCKED`,
    [retentionMs, imageRetentionMs],
  );
  for (const { project_id: projectId, scope_id: scopeId, digest } of due)
    await dropImage(sql, { projectId, scopeId, digest });
  return due.length;
}

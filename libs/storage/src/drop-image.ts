import type { Sql } from './database.ts';

export interface ImageKey {
  readonly projectId: string;
  readonly scopeId: string;
  readonly digest: string;
}

/** What only it needed is looked at by the collector at once. */
export async function dropImage(sql: Sql, key: ImageKey): Promise<void> {
  await freeBlobs(sql, key);
  await deleteImage(sql, key);
}

/** Lets the collector look at an image's blobs soon. */
export async function freeBlobs(sql: Sql, { projectId, scopeId, digest }: ImageKey): Promise<void> {
  await sql.execute(
    `WITH freed AS (SELECT blob FROM image_blobs WHERE project_id = $1 AND scope_id = $2 AND digest = $3 AND kept)
     UPDATE blobs b SET check_at = least(b.check_at, now())
     FROM (SELECT digest FROM blobs WHERE digest IN (SELECT blob FROM freed) ORDER BY digest FOR NO KEY UPDATE) o
     WHERE b.digest = o.digest`,
    [projectId, scopeId, digest],
  );
}

export async function deleteImage(sql: Sql, { projectId, scopeId, digest }: ImageKey): Promise<void> {
  await sql.execute('DELETE FROM images WHERE project_id = $1 AND scope_id = $2 AND digest = $3', [
    projectId,
    scopeId,
    digest,
  ]);
}

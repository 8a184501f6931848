import type { Sql } from './database.ts';

export interface ImageKey {
  readonly projectId: string;
  readonly scopeId: string;
  readonly digest: string;
}

/** Lets the collector look at the blobs of images soon. Blobs come before images for everybody who locks both. */
export async function freeBlobs(sql: Sql, images: readonly ImageKey[]): Promise<void> {
  await sql.execute(
    `WITH freed AS (
       SELECT b.blob FROM image_blobs b
       JOIN unnest($1::text[], $2::text[], $3::text[]) AS g (project_id, scope_id, digest) USING (project_id, scope_id, digest)
       WHERE b.kept)
     UPDATE blobs b SET check_at = least(b.check_at, now())
     FROM (SELECT digest FROM blobs WHERE digest IN (SELECT blob FROM freed) ORDER BY digest FOR NO KEY UPDATE) o
     WHERE b.digest = o.digest`,
    keyColumns(images),
  );
}

/** As the columns of a table in an SQL statement. */
export const keyColumns = (images: readonly ImageKey[]): readonly (readonly string[])[] => [
  images.map(({ projectId }) => projectId),
  images.map(({ scopeId }) => scopeId),
  images.map(({ digest }) => digest),
];

import { type Digest, DigestSchema } from '#oci';
import { z } from 'zod';
import type { Sql } from './database.ts';
import { holdBlobs } from './hold-blobs.ts';
import { type ImageRow, unknownImage } from './image-row.ts';

export interface Copying {
  readonly projectId: string;
  readonly from: string;
  readonly to: string;
  readonly image: ImageRow;
}

/** Into a scope that inherits it. @throws KilnError NOT_FOUND where it has been removed meanwhile, and blobs of it collected */
export async function copyImage(sql: Sql, { projectId, from, to, image }: Copying): Promise<void> {
  const needed = await neededBy(sql, { projectId, from, image });
  if ((await holdBlobs(sql, needed)).size > 0) throw unknownImage(image.digest);
  const key = [projectId, from, to, image.digest];
  await sql.execute(
    `INSERT INTO images (project_id, scope_id, digest, id, kept, image, build_id)
     SELECT project_id, $3, digest, id, kept, image, build_id FROM images
     WHERE project_id = $1 AND scope_id = $2 AND digest = $4 ON CONFLICT DO NOTHING`,
    key,
  );
  await sql.execute(
    `INSERT INTO image_blobs (project_id, scope_id, digest, blob, kept)
     SELECT project_id, $3, digest, blob, kept FROM image_blobs
     WHERE project_id = $1 AND scope_id = $2 AND digest = $4 ON CONFLICT DO NOTHING`,
    key,
  );
}

const Kept = z.object({ blob: DigestSchema });

/** What it cannot be without, its attestations among it; the lists of what layers change may never have been stored. */
async function neededBy(sql: Sql, { projectId, from, image }: Omit<Copying, 'to'>): Promise<readonly Digest[]> {
  const kept = await sql.query(
    Kept,
    'SELECT blob FROM image_blobs WHERE project_id = $1 AND scope_id = $2 AND digest = $3 AND kept',
    [projectId, from, image.digest],
  );
  const histories = image.image.variants.flatMap(({ history }) => history);
  const deltas = new Set(histories.flatMap(({ layer }) => layer?.delta?.digest ?? []));
  return kept.map(({ blob }) => blob).filter((blob) => !deltas.has(blob));
}

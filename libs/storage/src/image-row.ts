import { DigestSchema, formatPlatform } from '#oci';
import { ImageContent, type ImageDetail, type ImageView } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import type { Database, Sql } from './database.ts';
import type { Principal } from './principal.ts';
import { readableScopes } from './scopes.ts';

/** Scopes whose images somebody sees, the nearest first. */
export interface ImageReader {
  readonly projectId: string;
  readonly scopeIds: readonly string[];
}

/** The caller's own scope and those that it inherits. */
export async function imageReader(
  sql: Sql | Database,
  { projectId, scopeId }: Pick<Principal, 'projectId' | 'scopeId'>,
): Promise<ImageReader> {
  const { scopes } = await readableScopes(sql, projectId, scopeId);
  return { projectId, scopeIds: scopes.map(({ id }) => id) };
}

/** That scope `b` is nearer to the reader than `a`; `$2` are the reader's scopes. */
export const nearer = (b: string, a: string): string =>
  `${b} = ANY ($2::text[]) AND array_position($2::text[], ${b}) < array_position($2::text[], ${a})`;

/** Names that stand for image `i` to the reader: no nearer scope has them for another. */
const names = `ARRAY(
  SELECT DISTINCT n.name FROM image_names n WHERE n.project_id = $1 AND n.scope_id = ANY ($2::text[]) AND n.digest = i.digest
    AND NOT EXISTS (SELECT FROM image_names m WHERE m.project_id = $1 AND m.name = n.name AND ${nearer('m.scope_id', 'n.scope_id')})
  ORDER BY n.name)`;

const repositories = `ARRAY(
  SELECT DISTINCT r.registry || '/' || r.repository FROM image_repositories r
  WHERE r.project_id = $1 AND r.scope_id = ANY ($2::text[]) AND r.digest = i.digest ORDER BY 1)`;

/** Columns of {@link ImageRow}, from `images i` as the reader `$1`, `$2` sees them. */
export const imageColumns = `i.digest, i.id, i.number::text AS number, i.kept, i.image, i.build_id, i.scope_id,
  (SELECT name FROM scopes WHERE id = i.scope_id) AS scope, ${names} AS names, ${repositories} AS repositories`;

/** Each image once, of the nearest scope that has it. */
export const nearestImages = `images i WHERE i.project_id = $1 AND i.scope_id = ANY ($2::text[]) AND NOT EXISTS (
  SELECT FROM images n WHERE n.project_id = $1 AND n.digest = i.digest AND ${nearer('n.scope_id', 'i.scope_id')})`;

export const ImageRow = z.object({
  digest: DigestSchema,
  id: DigestSchema,
  number: z.string(),
  kept: z.boolean(),
  image: ImageContent,
  build_id: z.string(),
  scope_id: z.string(),
  scope: z.string(),
  names: z.array(z.string()),
  repositories: z.array(z.string()),
});
export type ImageRow = z.infer<typeof ImageRow>;

export function imageView(row: ImageRow): ImageView {
  const { digest, id, names: named, repositories: pushedTo, kept, image, build_id: buildId, scope } = row;
  return {
    digest,
    id,
    names: named,
    repositories: pushedTo,
    kept,
    platforms: image.variants.map(({ platform }) => formatPlatform(platform)),
    sizeBytes: image.variants.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    createdAt: image.createdAt,
    buildId,
    scope,
  };
}

/** The images that it was on its way, the newest first: a step that changes nothing but the config has the size of the one before. */
export function intermediatesOf({ image, id: own }: ImageRow): NonNullable<ImageView['intermediates']> {
  let sizeBytes = 0;
  const known = (image.variants[0]?.history ?? []).flatMap(({ id, layer, createdAt = image.createdAt, createdBy }) => {
    sizeBytes += layer?.descriptor.size ?? 0;
    return id === undefined || id === own ? [] : [{ id, createdAt, createdBy, sizeBytes }];
  });
  return known.toReversed();
}

export const imageDetail = (row: ImageRow): ImageDetail => ({ ...imageView(row), content: row.image });

export const unknownImage = (image: string): KilnError =>
  new KilnError('NOT_FOUND', `there is no image ${JSON.stringify(image)}`, {
    hint: 'kiln images lists those that are kept; a build with -t makes one',
  });

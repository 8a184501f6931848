import { formatReference, parseReference } from '#oci';
import type { ImageList } from '#protocol';
import { type ImageDetail, type ImageView, type RemovedImage } from '#protocol';
import { KilnError } from '#std';
import { z } from 'zod';
import type { Database, Sql } from './database.ts';
import {
  imageColumns,
  imageDetail,
  type ImageReader,
  imageReader,
  ImageRow,
  imageView,
  intermediatesOf,
  nearestImages,
  unknownImage,
} from './image-row.ts';
import { copyImage } from './copy-image.ts';
import { freeBlobs } from './free-image.ts';
import { ImageSteps } from './image-steps.ts';
import type { Principal } from './principal.ts';

type Reader = Pick<Principal, 'projectId' | 'scopeId'>;

export interface ImagePage {
  readonly limit: number;
  /** what the page before said */
  readonly cursor?: string | undefined;
  /** those that have this name; `acme/app` stands for all its tags */
  readonly name?: string | undefined;
  /** those without a name too */
  readonly all: boolean;
}

/** Of a digest or an id: fewer digits name too much. */
const MIN_DIGITS = 4;
const Name = z.object({ name: z.string() });

/** The images of projects, as their members see them: of their own scope and those that it inherits. */
export class ImageStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** The newest first. @throws KilnError INVALID_ARGUMENT for a cursor of no list */
  async list(caller: Reader, { limit, cursor, name, all }: ImagePage): Promise<ImageList> {
    if (cursor !== undefined && !/^[0-9]{1,18}$/.test(cursor))
      throw new KilnError('INVALID_ARGUMENT', 'not a cursor of this list', { field: 'cursor' });
    const { projectId, scopeIds } = await imageReader(this.#db, caller);
    const wanted = name === undefined ? null : searchedName(name);
    const rows = await this.#db.query(
      ImageRow,
      `SELECT * FROM (SELECT ${imageColumns} FROM ${nearestImages} AND ($3::bigint IS NULL OR i.number < $3)) l
       WHERE ($5::boolean OR cardinality(l.names) > 0) AND ($6::text IS NULL OR EXISTS (
         SELECT FROM unnest(l.names) AS n (name) WHERE n.name = $6 OR starts_with(n.name, $6 || ':')))
       ORDER BY l.number::bigint DESC LIMIT $4`,
      [projectId, scopeIds, cursor ?? null, limit + 1, all, wanted],
    );
    const page = rows.slice(0, limit);
    const shown = (row: ImageRow): ImageView =>
      all ? { ...imageView(row), intermediates: intermediatesOf(row) } : imageView(row);
    return { images: page.map(shown), next: rows.length > limit ? (page.at(-1)?.number ?? null) : null };
  }

  /**
   * By name, by digest, or by the digest of its config; of digests the first digits suffice, with or without `sha256:`.
   * @throws KilnError NOT_FOUND, CONFLICT when the digits are those of several
   */
  async get(caller: Reader, image: string): Promise<ImageDetail> {
    return imageDetail((await this.#find(this.#db, await imageReader(this.#db, caller), image)).row);
  }

  /** The images that instructions gave, in the caller's scope and those that it inherits. */
  async steps(caller: Reader): Promise<ImageSteps> {
    return new ImageSteps(this.#db, await imageReader(this.#db, caller));
  }

  /** Gives an image one more name in the caller's own scope, and takes it from the one that had it there. @throws KilnError as {@link get} */
  async tag(caller: Reader, image: string, name: string): Promise<ImageDetail> {
    const { projectId, scopeId } = caller;
    const full = taggedName(name);
    await this.#db.transaction(async (sql) => {
      const { row } = await this.#find(sql, await imageReader(sql, caller), image);
      if (row.scope_id !== scopeId) await copyImage(sql, { projectId, from: row.scope_id, to: scopeId, image: row });
      const known = await sql.execute(
        'UPDATE images SET used_at = now() WHERE project_id = $1 AND scope_id = $2 AND digest = $3',
        [projectId, scopeId, row.digest],
      );
      // Somebody removed it a moment ago.
      if (known === 0) throw unknownImage(image);
      await sql.execute(
        `INSERT INTO image_names (project_id, scope_id, name, digest) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id, scope_id, name) DO UPDATE SET digest = excluded.digest`,
        [projectId, scopeId, full, row.digest],
      );
    });
    return await this.get(caller, full);
  }

  /**
   * Takes a name from an image of the caller's own scope, and with its last one the image; by digest or id, all at once.
   * @param force several names too
   * @throws KilnError as {@link get}; PERMISSION_DENIED for an image that is inherited, CONFLICT for one of several names by its id
   */
  async remove(caller: Reader, image: string, { force }: { readonly force: boolean }): Promise<RemovedImage> {
    const { projectId, scopeId } = caller;
    return await this.#db.transaction(async (sql) => {
      const { row, name } = await this.#find(sql, await imageReader(sql, caller), image);
      if (row.scope_id !== scopeId)
        throw new KilnError(
          'PERMISSION_DENIED',
          `the image ${image} is of the scope ${row.scope}, which this one inherits`,
        );
      // In the order in which a build that gives it a name takes them: it has it before this, or anew after it.
      await freeBlobs(sql, [{ projectId, scopeId, digest: row.digest }]);
      await sql.execute(HELD, [projectId, scopeId, row.digest]);
      const own = (await sql.query(Name, NAMES_OF, [projectId, scopeId, row.digest])).map((found) => found.name);
      if (name === undefined && own.length > 1 && !force) {
        throw new KilnError('CONFLICT', `the image has ${own.length} names: ${own.join(', ')}`, {
          hint: 'remove it by its names, or with force',
        });
      }
      const untagged = name === undefined ? own : own.filter((each) => each === name);
      await sql.execute('DELETE FROM image_names WHERE project_id = $1 AND scope_id = $2 AND name = ANY ($3::text[])', [
        projectId,
        scopeId,
        untagged,
      ]);
      if (untagged.length < own.length) return { untagged, deleted: [] };
      await sql.execute('DELETE FROM images WHERE project_id = $1 AND scope_id = $2 AND digest = $3', [
        projectId,
        scopeId,
        row.digest,
      ]);
      return { untagged, deleted: [row.digest] };
    });
  }

  async #find(
    sql: Sql | Database,
    { projectId, scopeIds }: ImageReader,
    image: string,
  ): Promise<{ readonly row: ImageRow; readonly name?: string }> {
    const name = nameOf(image);
    if (name !== undefined) {
      const [named] = await sql.query(
        ImageRow,
        `SELECT ${imageColumns} FROM image_names n JOIN images i USING (project_id, scope_id, digest)
         WHERE n.project_id = $1 AND n.scope_id = ANY ($2::text[]) AND n.name = $3
         ORDER BY array_position($2::text[], n.scope_id) LIMIT 1`,
        [projectId, scopeIds, name],
      );
      if (named !== undefined) return { row: named, name };
    }
    const digits = digitsOf(image);
    if (digits === undefined) throw unknownImage(image);
    const found = await sql.query(
      ImageRow,
      `SELECT ${imageColumns} FROM ${nearestImages} AND (i.digest LIKE $3 OR i.id LIKE $3) LIMIT 2`,
      [projectId, scopeIds, `sha256:${digits}%`],
    );
    const [row, other] = found;
    if (row === undefined) throw unknownImage(image);
    if (other !== undefined)
      throw new KilnError('CONFLICT', `several images begin with ${digits}`, { hint: 'write more of its digits' });
    return { row };
  }
}

const HELD = 'SELECT FROM images WHERE project_id = $1 AND scope_id = $2 AND digest = $3 FOR UPDATE';
const NAMES_OF =
  'SELECT name FROM image_names WHERE project_id = $1 AND scope_id = $2 AND digest = $3 ORDER BY name FOR UPDATE';

/** `docker.io/acme/app:1`; undefined for what is no name. */
function nameOf(image: string): string | undefined {
  try {
    const reference = parseReference(image);
    return reference.digest === undefined ? formatReference(reference) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws KilnError INVALID_ARGUMENT */
function taggedName(name: string): string {
  const { digest, ...reference } = parseReference(name);
  if (digest === undefined) return formatReference(reference);
  throw new KilnError('INVALID_ARGUMENT', 'a digest is no name that an image can be given', { field: 'name' });
}

function searchedName(name: string): string {
  const { registry, repository, tag } = parseReference(name);
  const whole = `${registry}/${repository}`;
  return name.lastIndexOf(':') > name.lastIndexOf('/') ? `${whole}:${tag ?? ''}` : whole;
}

/** Of `acme/app@sha256:…`, `sha256:…` or digits alone. */
function digitsOf(image: string): string | undefined {
  const [, digits] = /^(?:[^@]*@)?(?:sha256:)?([0-9a-f]{4,64})$/.exec(image) ?? [];
  return digits !== undefined && digits.length >= MIN_DIGITS ? digits : undefined;
}

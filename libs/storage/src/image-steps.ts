import type { BuildEvent } from '#protocol';
import { z } from 'zod';
import type { Database, Sql } from './database.ts';
import type { ImageReader } from './image-row.ts';

const ROWS = 1_000;
const Found = z.object({ id: z.string() });

/** Notes the images that instructions of a build gave, for its scope: a build that gives them again made none of them. */
export async function noteImageSteps(sql: Sql, buildId: string, events: readonly BuildEvent[]): Promise<void> {
  const ids = new Set(events.flatMap((event) => (event.type === 'intermediate' ? [event.id] : [])));
  if (ids.size === 0) return;
  // In one order, whoever notes them; and no row is written anew for each build of a busy day.
  await sql.execute(
    `INSERT INTO image_steps (project_id, scope_id, id, build_id)
     SELECT b.project_id, b.scope_id, i.id, b.id FROM builds b CROSS JOIN unnest($2::text[]) AS i (id)
     WHERE b.id = $1 ORDER BY i.id
     ON CONFLICT (project_id, scope_id, id) DO UPDATE SET used_at = now()
       WHERE image_steps.used_at < now() - interval '1 day'`,
    [buildId, [...ids]],
  );
}

/** Forgets those that no build gave for a time. @returns how many */
export async function dropImageSteps(sql: Sql, idleMs: number): Promise<number> {
  return await sql.execute(
    `DELETE FROM image_steps WHERE (project_id, scope_id, id) IN (
       SELECT project_id, scope_id, id FROM image_steps
       WHERE used_at < now() - interval '1 day' - $1::float8 * interval '1 millisecond' ORDER BY used_at LIMIT ${ROWS})`,
    [idleMs],
  );
}

/** The images that instructions gave, as those of a scope see them. */
export class ImageSteps {
  readonly #db: Database;
  readonly #reader: ImageReader;

  constructor(db: Database, reader: ImageReader) {
    this.#db = db;
    this.#reader = reader;
  }

  /** Whether somewhere there another build gave the image first. */
  async isKnown(id: string, buildId: string): Promise<boolean> {
    const { projectId, scopeIds } = this.#reader;
    const found = await this.#db.query(
      Found,
      `SELECT id FROM image_steps
       WHERE project_id = $1 AND scope_id = ANY ($2::text[]) AND id = $3 AND build_id <> $4 LIMIT 1`,
      [projectId, scopeIds, id, buildId],
    );
    return found.length > 0;
  }
}

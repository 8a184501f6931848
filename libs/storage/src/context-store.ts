import type { Digest } from '#oci';
import { z } from 'zod';
import { KEPT_TOUCH_MS } from './blob-index.ts';
import { bigintColumn, type Database } from './database.ts';

/** A context that a project has sent, in whole or by its manifest alone. */
export interface KnownContext {
  /** of the manifest blob */
  readonly digest: Digest;
  readonly files: number;
  /** of all files */
  readonly sizeBytes: number;
}

const Row = z.object({ files: z.int(), size_bytes: bigintColumn });

/** Which contexts a project has sent. */
export class ContextStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Notes a context whose manifest has just been kept.
   * @param whole whether all its files had been, before that
   */
  async put(projectId: string, { digest, files, sizeBytes }: KnownContext, whole: boolean): Promise<void> {
    await this.#db.execute(
      `INSERT INTO contexts (project_id, digest, files, size_bytes, whole, kept_at) VALUES ($1, $2, $3, $4, $5, now())
       ON CONFLICT (project_id, digest) DO UPDATE SET whole = excluded.whole, kept_at = excluded.kept_at`,
      [projectId, digest, files, sizeBytes, whole],
    );
  }

  /** One that the project has sent and that is still kept. */
  async get(projectId: string, digest: Digest): Promise<KnownContext | undefined> {
    const [row] = await this.#db.query(
      Row,
      `SELECT c.files, c.size_bytes FROM contexts c JOIN blobs b ON b.digest = c.digest AND b.removed_at IS NULL
       WHERE c.project_id = $1 AND c.digest = $2`,
      [projectId, digest],
    );
    return row && { digest, files: row.files, sizeBytes: row.size_bytes };
  }

  /** Whether the project kept a context and all its files so recently that nothing has to be written. */
  async isKept(projectId: string, digest: Digest): Promise<boolean> {
    const rows = await this.#db.query(
      z.object({}),
      `SELECT FROM contexts WHERE project_id = $1 AND digest = $2 AND whole
         AND kept_at > now() - $3 * interval '1 millisecond'`,
      [projectId, digest, KEPT_TOUCH_MS],
    );
    return rows.length > 0;
  }
}

import { z } from 'zod';
import { type Digest, digestOf, DigestSchema } from '#oci';
import { bigintColumn, type Database } from './database.ts';

/** A file as its server gave it last, and how to ask whether it has changed. */
export interface FetchedFileRow {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** seconds since the epoch */
  readonly mtime: number;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

const File = z.object({
  digest: DigestSchema,
  size_bytes: bigintColumn,
  mtime: bigintColumn,
  etag: z.string().nullable(),
  last_modified: z.string().nullable(),
});
const Tree = z.object({ manifest_digest: DigestSchema });
const columns = 'digest, size_bytes, mtime, etag, last_modified';

/** What one project's builds fetched: files of the web by URL, trees by what they were made of. */
export class FetchedSources {
  readonly #db: Database;
  readonly #projectId: string;

  constructor(db: Database, projectId: string) {
    this.#db = db;
    this.#projectId = projectId;
  }

  async file(url: string): Promise<FetchedFileRow | null> {
    return await this.#file('url_sha256', digestOf(url));
  }

  /** A file with these bytes, whatever URL gave it. */
  async fileOf(digest: Digest): Promise<FetchedFileRow | null> {
    return await this.#file('digest', digest);
  }

  async keepFile(url: string, { digest, sizeBytes, mtime, etag, lastModified }: FetchedFileRow): Promise<void> {
    await this.#db.execute(
      `INSERT INTO fetched_files (project_id, url_sha256, digest, size_bytes, mtime, etag, last_modified)
       VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (project_id, url_sha256) DO UPDATE SET digest = excluded.digest, size_bytes = excluded.size_bytes,
         mtime = excluded.mtime, etag = excluded.etag, last_modified = excluded.last_modified, fetched_at = now()`,
      [this.#projectId, digestOf(url), digest, sizeBytes, mtime, etag ?? null, lastModified ?? null],
    );
  }

  async tree(key: Digest): Promise<Digest | null> {
    const [row] = await this.#db.query(
      Tree,
      'SELECT manifest_digest FROM fetched_trees WHERE project_id = $1 AND key = $2',
      [this.#projectId, key],
    );
    return row?.manifest_digest ?? null;
  }

  async keepTree(key: Digest, manifest: Digest): Promise<void> {
    await this.#db.execute(
      `INSERT INTO fetched_trees (project_id, key, manifest_digest) VALUES ($1, $2, $3)
       ON CONFLICT (project_id, key) DO UPDATE SET manifest_digest = excluded.manifest_digest, fetched_at = now()`,
      [this.#projectId, key, manifest],
    );
  }

  async #file(column: 'url_sha256' | 'digest', value: Digest): Promise<FetchedFileRow | null> {
    const [row] = await this.#db.query(
      File,
      `SELECT ${columns} FROM fetched_files WHERE project_id = $1 AND ${column} = $2 ORDER BY fetched_at DESC LIMIT 1`,
      [this.#projectId, value],
    );
    if (row === undefined) return null;
    const { digest, size_bytes: sizeBytes, mtime, etag, last_modified: lastModified } = row;
    return { digest, sizeBytes, mtime, etag: etag ?? undefined, lastModified: lastModified ?? undefined };
  }
}

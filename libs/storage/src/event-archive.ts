import { type ContentStore } from '#content';
import { single } from '#std';
import { z } from 'zod';
import { encodeArchive, type StoredEvent } from './archive-format.ts';
import { BlobIndex } from './blob-index.ts';
import { bigintColumn, type Database } from './database.ts';

/** With less than this in rows, a build's events are best where they are. The index in migration 3 says the same. */
export const ARCHIVE_FROM_BYTES = 1024 * 1024;
/** Of text in one archive: what a reader holds at a time. */
const ARCHIVE_BYTES = 4 * 1024 * 1024;
const ROWS = 256;
const BUILDS = 20;

const Due = z.object({ id: z.string(), project_id: z.string() });
const Row = z.object({ seq: bigintColumn, payload: z.string() });

export interface EventArchiveOptions {
  readonly db: Database;
  readonly content: ContentStore;
  /** text in one archive, about; for tests */
  readonly archiveBytes?: number;
}

/**
 * Moves events from rows into blobs where a build has many of them, running or ended. Events never change, so this needs no
 * fence; several processes may do it at a time.
 */
export class EventArchive {
  readonly #db: Database;
  readonly #content: ContentStore;
  readonly #blobs: BlobIndex;
  readonly #archiveBytes: number;

  constructor({ db, content, archiveBytes = ARCHIVE_BYTES }: EventArchiveOptions) {
    this.#db = db;
    this.#content = content;
    this.#blobs = new BlobIndex(db);
    this.#archiveBytes = archiveBytes;
  }

  /**
   * Archives what is due now, the largest builds first.
   * @returns how many archives were made
   * @throws KilnError UNAVAILABLE, UPSTREAM_UNAVAILABLE; what was not archived stays readable in its rows
   */
  async sweep(signal?: AbortSignal): Promise<number> {
    const due = await this.#db.query(
      Due,
      `SELECT id, project_id FROM builds WHERE loose_bytes >= ${ARCHIVE_FROM_BYTES} ORDER BY loose_bytes DESC LIMIT $1`,
      [BUILDS],
    );
    let made = 0;
    for (const { id, project_id: projectId } of due) {
      while (signal?.aborted !== true && (await this.#archiveFirst(projectId, id, signal))) made++;
    }
    return made;
  }

  /** The first events that are in rows, as one archive. False when there are too few to be worth it. */
  async #archiveFirst(projectId: string, buildId: string, signal: AbortSignal | undefined): Promise<boolean> {
    const events = await this.#firstRows(buildId);
    const first = events[0];
    const last = events.at(-1);
    const textBytes = events.reduce((sum, { payload }) => sum + payload.length, 0);
    if (first === undefined || last === undefined || textBytes < Math.min(ARCHIVE_FROM_BYTES, this.#archiveBytes)) {
      return false;
    }
    const bytes = await encodeArchive(events);
    const blob = await this.#content.put(single(bytes), undefined, signal);
    const doubtful = await this.#blobs.grant(projectId, [blob]);
    // Collected while it was put: the rows are still there.
    if ((await this.#content.findMissing(doubtful, signal)).size > 0) return false;
    return await this.#db.transaction(async (sql) => {
      const inserted = await sql.execute(
        `INSERT INTO event_archives (project_id, build_id, first_seq, last_seq, digest, size_bytes)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
        [projectId, buildId, first.seq, last.seq, blob.digest, blob.sizeBytes],
      );
      // Another process was quicker.
      if (inserted === 0) return false;
      await sql.execute('DELETE FROM build_events WHERE build_id = $1 AND seq BETWEEN $2 AND $3', [
        buildId,
        first.seq,
        last.seq,
      ]);
      await sql.execute('UPDATE builds SET loose_bytes = greatest(0, loose_bytes - $2) WHERE id = $1', [
        buildId,
        textBytes,
      ]);
      return true;
    });
  }

  async #firstRows(buildId: string): Promise<readonly StoredEvent[]> {
    const events: StoredEvent[] = [];
    let textBytes = 0;
    for (;;) {
      const page = await this.#db.query(
        Row,
        `SELECT seq, payload::text AS payload FROM build_events WHERE build_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
        [buildId, events.at(-1)?.seq ?? 0, ROWS],
      );
      for (const event of page) {
        events.push(event);
        textBytes += event.payload.length;
        if (textBytes >= this.#archiveBytes) return events;
      }
      if (page.length < ROWS) return events;
    }
  }
}

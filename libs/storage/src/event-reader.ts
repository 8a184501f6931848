import type { ContentStore } from '#content';
import { type Digest, DigestSchema } from '#oci';
import { BuildEvent, type NumberedEvent } from '#protocol';
import { collect, isKilnError } from '#std';
import { z } from 'zod';
import { decodeArchive } from './archive-format.ts';
import { bigintColumn, type Sql } from './database.ts';

const ARCHIVE_LIMIT_BYTES = 64 * 1024 * 1024;

/** Either an event, or the archive that holds what comes next. */
const Row = z.object({
  seq: bigintColumn,
  payload: BuildEvent.nullable(),
  digest: DigestSchema.nullable(),
  last_seq: bigintColumn.nullable(),
});

/**
 * Events after a number, in order: at most `limit` of those that are in rows, or all that one archive has.
 * @throws KilnError UNAVAILABLE, UPSTREAM_UNAVAILABLE
 */
export async function readEvents(
  sql: Sql,
  content: ContentStore,
  buildId: string,
  afterSeq: number,
  limit: number,
): Promise<readonly NumberedEvent[]> {
  // One statement sees one state: what is being archived is found in its rows or in its archive.
  const rows = await sql.query(
    Row,
    `WITH archive AS (
       SELECT first_seq, last_seq, digest FROM event_archives
       WHERE build_id = $1 AND last_seq > $2 ORDER BY first_seq LIMIT 1
     ), loose AS (
       SELECT seq, payload FROM build_events
       WHERE build_id = $1 AND seq > $2 AND NOT EXISTS (SELECT FROM archive) ORDER BY seq LIMIT $3
     )
     SELECT first_seq AS seq, NULL::json AS payload, digest, last_seq FROM archive
     UNION ALL SELECT seq, payload, NULL, NULL FROM loose ORDER BY seq`,
    [buildId, afterSeq, limit],
  );
  const [first] = rows;
  if (first?.digest !== undefined && first.digest !== null) {
    const archived = await readArchive(content, first.digest, { first: first.seq, last: first.last_seq ?? first.seq });
    return archived.filter(({ seq }) => seq > afterSeq);
  }
  return rows.flatMap(({ seq, payload }) => (payload === null ? [] : [{ seq, event: payload }]));
}

const Found = z.object({ payload: BuildEvent });
const Archived = z.object({ first_seq: bigintColumn, last_seq: bigintColumn, digest: DigestSchema });

/** Number of the last event of a part that a build's events have taken over; 0 for none. */
export async function lastFrom(sql: Sql, content: ContentStore, buildId: string, part: string): Promise<number> {
  const [found] = await sql.query(
    Found,
    // As text: what a log holds need not be what Postgres can take out of JSON, and no string holds a bare quote.
    `SELECT payload FROM build_events WHERE build_id = $1 AND strpos(payload::text, $2) > 0 ORDER BY seq DESC LIMIT 1`,
    [buildId, `"from":{"part":${JSON.stringify(part)},`],
  );
  if (found !== undefined) return originOf(found.payload, part);
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const [archive] = await sql.query(
      Archived,
      'SELECT first_seq, last_seq, digest FROM event_archives WHERE build_id = $1 AND first_seq < $2 ORDER BY first_seq DESC LIMIT 1',
      [buildId, before],
    );
    if (archive === undefined) return 0;
    const { first_seq: first, last_seq: last, digest } = archive;
    const events = await readArchive(content, digest, { first, last });
    const seq = originOf(events.findLast(({ event }) => originOf(event, part) > 0)?.event, part);
    if (seq > 0) return seq;
    before = first;
  }
}

function originOf(event: BuildEvent | undefined, part: string): number {
  return event !== undefined && 'from' in event && event.from?.part === part ? event.from.seq : 0;
}

/** A reader learns of what has been lost, and reads on. */
async function readArchive(
  content: ContentStore,
  digest: Digest,
  { first, last }: { readonly first: number; readonly last: number },
): Promise<readonly NumberedEvent[]> {
  try {
    return await decodeArchive(await collect(content.get(digest), ARCHIVE_LIMIT_BYTES));
  } catch (thrown) {
    if (!isKilnError(thrown, 'BLOB_MISSING', 'BLOB_CORRUPT')) throw thrown;
    const message = `the events ${first} to ${last} of this build have been lost: ${thrown.message}`;
    return [{ seq: last, event: { type: 'warning', atMs: 0, message } }];
  }
}

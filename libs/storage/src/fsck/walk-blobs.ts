import type { ContentStore, ListedBlob } from '#content';
import { type Digest, DigestSchema } from '#oci';
import { KilnError } from '#std';
import { z } from 'zod';
import { bigintColumn, type Sql } from '../database.ts';

const Row = z.object({ digest: DigestSchema, size_bytes: bigintColumn, in_use: z.boolean() });
const ROWS = 2_000;

interface IndexedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** not removed, nor about to be */
  readonly inUse: boolean;
}

/** A digest as the index and the store have it; one of them may not. */
export interface BlobPair {
  readonly digest: Digest;
  readonly row: IndexedBlob | undefined;
  readonly bytes: ListedBlob | undefined;
}

const Sorting = z.object({ by_bytes: z.boolean() });

/**
 * Digests in the order of their bytes, as stores list them, whatever language the database sorts by. Its own order is taken
 * where it is the same, for the sake of the index.
 */
async function byBytes(sql: Sql): Promise<string> {
  const [row] = await sql.query(
    Sorting,
    `SELECT coalesce(CASE WHEN c.collname = 'default' THEN d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX')
       ELSE c.collprovider = 'c' AND c.collcollate IN ('C', 'POSIX') END, false) AS by_bytes
     FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation JOIN pg_database d ON d.datname = current_database()
     WHERE a.attrelid = 'blobs'::regclass AND a.attname = 'digest'`,
  );
  return row?.by_bytes === true ? 'digest' : 'digest COLLATE "C"';
}

/** Every blob that the index has a row of, in the order of their digests, page by page. */
export async function* indexedBlobs(sql: Sql, signal?: AbortSignal): AsyncIterable<IndexedBlob> {
  const digests = await byBytes(sql);
  for (let after = '', rows = ROWS; rows === ROWS; ) {
    signal?.throwIfAborted();
    const page = await sql.query(
      Row,
      `SELECT digest, size_bytes, removed_at IS NULL AS in_use FROM blobs WHERE ${digests} > $1 ORDER BY ${digests}
       LIMIT ${ROWS}`,
      [after],
    );
    rows = page.length;
    after = page.at(-1)?.digest ?? after;
    for (const { digest, size_bytes: sizeBytes, in_use: inUse } of page) yield { digest, sizeBytes, inUse };
  }
}

/** Both in one walk: two sorted streams, of which a page each is in memory. */
export async function* walkBlobs(sql: Sql, content: ContentStore, signal?: AbortSignal): AsyncIterable<BlobPair> {
  const rows = ordered(indexedBlobs(sql, signal), INDEX);
  const blobs = ordered(content.list(signal), 'the object store');
  try {
    let [row, bytes] = await Promise.all([rows.next(), blobs.next()]);
    while (row.done !== true || bytes.done !== true) {
      const [a, b] = [row.done === true ? undefined : row.value, bytes.done === true ? undefined : bytes.value];
      const order = a === undefined ? 1 : b === undefined ? -1 : a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0;
      const digest = order > 0 ? b?.digest : a?.digest;
      if (digest === undefined) return;
      yield { digest, row: order > 0 ? undefined : a, bytes: order < 0 ? undefined : b };
      if (order <= 0) row = await rows.next();
      if (order >= 0) bytes = await blobs.next();
    }
  } finally {
    await Promise.all([rows.return(undefined), blobs.return(undefined)]);
  }
}

/** What is not in order, for people. */
export const INDEX = 'the index';

/** Whoever walks two streams at once relies on their order. */
export async function* ordered<T extends { readonly digest: Digest }>(
  source: AsyncIterable<T>,
  what: string,
): AsyncGenerator<T> {
  let last = '';
  for await (const item of source) {
    if (item.digest <= last)
      throw new KilnError('INTERNAL', `${what} does not list its blobs in order: ${item.digest} after ${last}`);
    last = item.digest;
    yield item;
  }
}

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

/** Every blob that the index has a row of, in the order of their digests, page by page. */
export async function* indexedBlobs(sql: Sql, signal?: AbortSignal): AsyncIterable<IndexedBlob> {
  for (let after = '', rows = ROWS; rows === ROWS; ) {
    signal?.throwIfAborted();
    const page = await sql.query(
      Row,
      `SELECT digest, size_bytes, removed_at IS NULL AS in_use FROM blobs WHERE digest > $1 ORDER BY digest LIMIT ${ROWS}`,
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
      throw new KilnError('INTERNAL', `${what} does not list its blobs in order: ${item.digest} after ${last}`, {
        hint:
          what === INDEX
            ? 'make the database anew as one that sorts by bytes: CREATE DATABASE … LOCALE C TEMPLATE template0'
            : undefined,
      });
    last = item.digest;
    yield item;
  }
}

import type { ContentStore } from '#content';
import { type Digest, DigestSchema, Hasher } from '#oci';
import { isKilnError } from '#std';
import { z } from 'zod';
import { bigintColumn, type Sql } from '../database.ts';
import type { BlobFinding } from './finding.ts';
import { GRANT, referencesTo } from './references.ts';

/** A blob with which something may be wrong. */
export interface Suspect {
  readonly digest: Digest;
  /** bytes that were put before this are old enough to be nobody's; undefined: not known to be */
  readonly isOld?: boolean;
  /** its bytes are known not to be its own */
  readonly corrupt?: boolean;
}

const Row = z.object({
  digest: DigestSchema,
  size_bytes: bigintColumn.nullable(),
  removed: z.boolean(),
  gone: z.boolean(),
  settled: z.boolean(),
  came_back: z.boolean(),
  pinned: z.boolean(),
});

const TEXT = `SELECT d.digest, b.size_bytes, b.removed_at IS NOT NULL AS removed, b.gone_at IS NOT NULL AS gone,
    coalesce(b.gone_at < now() - $2 * interval '1 millisecond', true) AS settled,
    coalesce(b.used_at > now() - $2 * interval '1 millisecond' AND b.used_at > b.created_at + interval '1 second', false)
      AS came_back,
    EXISTS (SELECT FROM blob_pins p JOIN builds c ON c.id = p.build_id AND c.fence = p.fence AND c.state = 'running'
      WHERE p.digest = d.digest) AS pinned
  FROM unnest($1::text[]) AS d (digest) LEFT JOIN blobs b USING (digest)`;

export interface Judging {
  readonly sql: Sql;
  /** that leaves damaged blobs where they are */
  readonly content: ContentStore;
  readonly graceMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What is wrong with these blobs now, if anything is: rows are read after bytes were looked for, so that what goes meanwhile is seen to go. */
export async function judgeBlobs(judging: Judging, suspects: readonly Suspect[]): Promise<readonly BlobFinding[]> {
  const { sql, content, graceMs, signal } = judging;
  const digests = suspects.map(({ digest }) => digest);
  if (digests.length === 0) return [];
  const missing = await content.findMissing(new Set(digests), signal);
  const rows = new Map((await sql.query(Row, TEXT, [digests, graceMs])).map((row) => [row.digest, row]));
  const references = await referencesTo(sql, digests);
  return suspects.flatMap((suspect) => {
    const { digest, isOld = false, corrupt = false } = suspect;
    const row = rows.get(digest);
    const needs = references.get(digest) ?? [];
    const sizeBytes = row?.size_bytes ?? 0;
    const found = (kind: BlobFinding['kind']): readonly BlobFinding[] => [{ kind, digest, sizeBytes, needs }];
    const inUse = row !== undefined && row.size_bytes !== null && !row.removed;
    if (corrupt) return missing.has(digest) ? [] : found('corrupt');
    // Who brings a blob back that was out of use has a grant before the bytes.
    const needed = needs.some(({ kind }) => kind !== GRANT || !(inUse && row.came_back));
    if (missing.has(digest)) return needed ? found('missing') : [];
    if (inUse) return [];
    if (needed) return found('unindexed');
    const unknown = row === undefined || row.size_bytes === null || (row.gone && row.settled);
    return unknown && isOld && row?.pinned !== true ? found('orphan') : [];
  });
}

/** Whether a blob's bytes are those of its digest, and how many there are; undefined when there are none. */
export async function digestBlob(
  content: ContentStore,
  digest: Digest,
  signal?: AbortSignal,
): Promise<{ readonly right: boolean; readonly sizeBytes: number } | undefined> {
  const hasher = new Hasher();
  try {
    for await (const chunk of content.get(digest, signal)) hasher.update(chunk);
    return { right: true, sizeBytes: hasher.sizeBytes };
  } catch (thrown) {
    if (isKilnError(thrown, 'BLOB_CORRUPT')) return { right: false, sizeBytes: hasher.sizeBytes };
    if (isKilnError(thrown, 'BLOB_MISSING')) return undefined;
    throw thrown;
  }
}

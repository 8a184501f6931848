import { type ContentStore, forEachBounded } from '#content';
import type { Digest } from '#oci';
import type { Clock } from '#std';
import { z } from 'zod';
import { bigintColumn, type Database } from '../database.ts';
import { checkResults } from './check-results.ts';
import { checkSums } from './check-sums.ts';
import { type BlobFinding, blobText, type Finding } from './finding.ts';
import { digestBlob, judgeBlobs, type Suspect } from './judge-blobs.ts';
import { mendLost, mendSizes, mendUnindexed } from './mend-blobs.ts';
import { danglingReferences } from './references.ts';
import { type BlobPair, walkBlobs } from './walk-blobs.ts';

export interface FsckOptions {
  readonly db: Database;
  readonly content: ContentStore;
  /** the same store, which leaves damaged blobs where they are */
  readonly looked: ContentStore;
  readonly clock: Clock;
  /** as long as bytes may be on their way to be known */
  readonly graceMs: number;
  /** every blob is read */
  readonly deep: boolean;
  /** what is wrong is mended; without, nothing is written */
  readonly repair: boolean;
  readonly onProgress?: ((progress: FsckProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface FsckProgress {
  readonly blobs: number;
  readonly ofBlobs: number;
  readonly readBytes: number;
  readonly ofBytes: number;
}

const BATCH = 500;
const LANES = 4;
/** A farm at work is never still: what is wrong is so at two looks. */
const SECOND_LOOK_MS = 500;
const Total = z.object({ blobs: bigintColumn, bytes: bigintColumn });

/** Rows and bytes of a farm, against each other: page by page, while it works. */
export class Fsck {
  readonly #options: FsckOptions;
  #progress: FsckProgress = { blobs: 0, ofBlobs: 0, readBytes: 0, ofBytes: 0 };

  constructor(options: FsckOptions) {
    this.#options = options;
  }

  get progress(): FsckProgress {
    return this.#progress;
  }

  /** All that is wrong, as it is found. @throws KilnError UNAVAILABLE, UPSTREAM_UNAVAILABLE; what was mended stays so */
  async *run(): AsyncIterable<Finding> {
    const { db, signal } = this.#options;
    const [total] = await db.query(
      Total,
      'SELECT count(*) AS blobs, coalesce(sum(size_bytes), 0)::bigint AS bytes FROM blobs WHERE removed_at IS NULL',
    );
    this.#progress = { ...this.#progress, ofBlobs: total?.blobs ?? 0, ofBytes: total?.bytes ?? 0 };
    for await (const pairs of pages(walkBlobs(db, this.#options.looked, signal))) yield* this.#checkPairs(pairs);
    for await (const digests of danglingReferences(db, signal))
      for (let at = 0; at < digests.length; at += BATCH)
        yield* this.#settle(digests.slice(at, at + BATCH).map((digest) => ({ digest })));
    for await (const findings of checkResults(this.#options)) yield* findings;
    for await (const findings of checkSums(this.#options)) yield* findings;
  }

  async *#checkPairs(pairs: readonly BlobPair[]): AsyncIterable<Finding> {
    const { clock, graceMs } = this.#options;
    const oldMs = clock.nowMs() - graceMs;
    const suspects: Suspect[] = [];
    const sizes: { readonly digest: Digest; readonly sizeBytes: number }[] = [];
    await forEachBounded(pairs, LANES, async ({ digest, row, bytes }) => {
      if (row?.inUse !== true) {
        if (bytes !== undefined) suspects.push({ digest, isOld: bytes.modifiedMs <= oldMs });
        return;
      }
      if (bytes === undefined) suspects.push({ digest });
      else if (this.#options.deep || bytes.sizeBytes !== row.sizeBytes) {
        const read = await digestBlob(this.#options.looked, digest, this.#options.signal);
        this.#tell({ readBytes: this.#progress.readBytes + bytes.sizeBytes });
        if (read === undefined) suspects.push({ digest });
        else if (!read.right) suspects.push({ digest, corrupt: true });
        else if (read.sizeBytes !== row.sizeBytes) sizes.push({ digest, sizeBytes: read.sizeBytes });
      }
    });
    this.#tell({ blobs: this.#progress.blobs + pairs.filter(({ row }) => row?.inUse).length });
    yield* this.#settle(suspects);
    if (sizes.length === 0) return;
    if (this.#options.repair) await mendSizes(this.#options.db, sizes);
    yield* sizes.map((blob) => this.#told({ ...blob, kind: 'size', needs: [] }));
  }

  /** Looks at suspects, twice where it has to, and mends what is wrong. */
  async *#settle(suspects: readonly Suspect[]): AsyncIterable<Finding> {
    const { db, looked, graceMs, clock, repair, signal } = this.#options;
    const judging = { sql: db, content: looked, graceMs, signal };
    let found = await judgeBlobs(judging, suspects);
    if (found.length === 0) return;
    await clock.sleep(SECOND_LOOK_MS, signal);
    const wrong = new Set(found.map(({ digest }) => digest));
    found = await judgeBlobs(
      judging,
      suspects.filter(({ digest }) => wrong.has(digest)),
    );
    if (repair) await this.#mend(found);
    yield* found.map((finding) => this.#told(finding));
  }

  async #mend(found: readonly BlobFinding[]): Promise<void> {
    const { db, content, graceMs, signal } = this.#options;
    const lost = found.filter(({ kind }) => kind === 'missing').map(({ digest }) => digest);
    const there: { readonly digest: Digest; readonly sizeBytes: number }[] = [];
    // A read removes what is damaged, and nothing that somebody has put in its place meanwhile.
    const read = found.filter(({ kind }) => kind !== 'missing');
    await forEachBounded(read, LANES, async ({ digest, kind }) => {
      const bytes = await digestBlob(content, digest, signal);
      if (bytes?.right === true) there.push({ digest, sizeBytes: bytes.sizeBytes });
      else if (kind !== 'orphan') lost.push(digest);
    });
    if (there.length > 0) await mendUnindexed(db, there, graceMs);
    await mendLost(db, content, lost);
  }

  #told(finding: BlobFinding): Finding {
    return { kind: finding.kind, message: blobText(finding), digest: finding.digest, mended: this.#options.repair };
  }

  #tell(more: Partial<FsckProgress>): void {
    this.#progress = { ...this.#progress, ...more };
    this.#options.onProgress?.(this.#progress);
  }
}

async function* pages<T>(source: AsyncIterable<T>): AsyncIterable<readonly T[]> {
  let page: T[] = [];
  for await (const item of source) {
    page.push(item);
    if (page.length < BATCH) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

import type { Digest } from '#oci';
import { isKilnError } from '#std';
import { forEachBounded } from './for-each.ts';
import type { BlobInfo, ContentStore } from './store.ts';

export interface CopyOptions {
  readonly from: ContentStore;
  readonly to: ContentStore;
  /** of a page of blobs: those that are not where they were to come from, or are not themselves */
  readonly onLost: (digests: readonly Digest[]) => Promise<void>;
  readonly onProgress: (copied: Copied) => void;
  readonly signal: AbortSignal;
}

export interface Copied {
  /** looked at */
  readonly blobs: number;
  readonly bytes: number;
  /** that were not there */
  readonly newBlobs: number;
  readonly newBytes: number;
}

const PAGE = 1_000;
const LANES = 8;

/** Brings blobs to where they are not, each verified on its way. What is lost is told, and the rest goes on. */
export async function copyBlobs(blobs: AsyncIterable<BlobInfo>, options: CopyOptions): Promise<Copied> {
  let copied: Copied = { blobs: 0, bytes: 0, newBlobs: 0, newBytes: 0 };
  const add = (more: Partial<Copied>): void => {
    const { blobs: all = 0, bytes = 0, newBlobs = 0, newBytes = 0 } = more;
    copied = {
      blobs: copied.blobs + all,
      bytes: copied.bytes + bytes,
      newBlobs: copied.newBlobs + newBlobs,
      newBytes: copied.newBytes + newBytes,
    };
    options.onProgress(copied);
  };
  let page: BlobInfo[] = [];
  for await (const blob of blobs) {
    page.push(blob);
    if (page.length < PAGE) continue;
    await copyPage(page, options, add);
    page = [];
  }
  await copyPage(page, options, add);
  return copied;
}

async function copyPage(
  page: readonly BlobInfo[],
  { from, to, onLost, signal }: CopyOptions,
  add: (more: Partial<Copied>) => void,
): Promise<void> {
  if (page.length === 0) return;
  const missing = await to.findMissing(new Set(page.map(({ digest }) => digest)), signal);
  const lost: Digest[] = [];
  await forEachBounded(page, LANES, async ({ digest, sizeBytes }) => {
    signal.throwIfAborted();
    if (!missing.has(digest)) return add({ blobs: 1, bytes: sizeBytes });
    try {
      const { sizeBytes: bytes } = await to.put(from.get(digest, signal), digest, signal);
      add({ blobs: 1, bytes, newBlobs: 1, newBytes: bytes });
    } catch (thrown) {
      if (!isKilnError(thrown, 'BLOB_MISSING', 'BLOB_CORRUPT')) throw thrown;
      lost.push(digest);
    }
  });
  if (lost.length > 0) await onLost(lost);
}

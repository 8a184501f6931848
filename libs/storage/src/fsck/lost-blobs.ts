import type { Digest } from '#oci';
import { blobText } from './finding.ts';
import { judgeBlobs, type Judging } from './judge-blobs.ts';

/** Of blobs that cannot be read those that something needs here, for people. */
export async function lostBlobs(judging: Judging, digests: readonly Digest[]): Promise<readonly string[]> {
  const missing = await judging.content.findMissing(new Set(digests), judging.signal);
  const found = await judgeBlobs(
    judging,
    digests.map((digest) => ({ digest, corrupt: !missing.has(digest) })),
  );
  return found.map(blobText);
}

import { type ContextManifest, ingestTar } from '#context';
import { withoutCredentials } from '#graph';
import type { Digest } from '#oci';
import { type Bytes, isKilnError, KilnError } from '#std';
import { isArchive } from './archive.ts';
import { decompress } from './decompress.ts';
import type { FetchedTrees } from './fetched-trees.ts';
import type { EngineNode } from './job.ts';

const MAX_PATH_BYTES = 4_096;

export interface Unpacking {
  readonly node: EngineNode;
  readonly trees: FetchedTrees;
  readonly signal: AbortSignal;
}

/** The files of an archive that a URL gave; undefined for what is none. @throws KilnError CONTEXT_INVALID, LIMIT_EXCEEDED */
export async function unpackArchive(
  { url, digest }: { readonly url: string; readonly digest: Digest },
  { node: { content, fetchLimits }, trees, signal }: Unpacking,
): Promise<ContextManifest | undefined> {
  const shown = withoutCredentials(url);
  const open = (): Bytes => content.get(digest, signal);
  if (!(await isArchive({ name: shown, open }, signal))) return undefined;
  const unpack = async (): Promise<ContextManifest> => {
    const limits = { ...fetchLimits, maxPathBytes: MAX_PATH_BYTES };
    try {
      return (await ingestTar(decompress(open(), signal), content, limits, signal)).manifest;
    } catch (thrown) {
      if (!isKilnError(thrown, 'BLOB_CORRUPT', 'CONTEXT_INVALID')) throw thrown;
      throw new KilnError('CONTEXT_INVALID', `the archive ${shown} cannot be unpacked: ${thrown.message}`, {
        cause: thrown,
      });
    }
  };
  return await trees.get({ kind: 'archive', digest }, unpack, signal);
}

import { unpackTar } from '#snapshot';
import { type Bytes, isKilnError, KilnError, messageOf } from '#std';
import { readTar } from '#tar';
import { decompress, watch } from './decompress.ts';
import type { Ownership, TargetRoot } from './rooted-files.ts';

/** A file that may be an archive. */
export interface ArchiveFile {
  /** as the Dockerfile names it */
  readonly name: string;
  /** its bytes, from the start each time */
  readonly open: () => Bytes;
}

/**
 * Whether a file is a tar, plain or compressed. As BuildKit has it, the first header decides: a file without one is no
 * archive, whatever its name; what is damaged behind it fails where it is read.
 */
export async function isArchive({ open }: ArchiveFile, signal: AbortSignal): Promise<boolean> {
  const source = watch(open());
  const entries = readTar(decompress(source.bytes, signal));
  try {
    return (await entries.next()).done !== true;
  } catch (thrown) {
    source.rethrow();
    if (isKilnError(thrown, 'BLOB_CORRUPT')) return false;
    throw thrown;
  } finally {
    await entries.return();
  }
}

/**
 * Unpacks an archive into a directory of a root. Owners (without `owner`), modes and times are the archive's.
 * @throws KilnError STEP_FAILED when the archive is damaged; what its source throws
 */
export async function unpackArchive(
  { name, open }: ArchiveFile,
  into: { readonly root: TargetRoot; readonly directory: string; readonly owner: Ownership | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { root, directory, owner } = into;
  const source = watch(open());
  try {
    await unpackTar({ tar: decompress(source.bytes, signal), root: directory, shift: root.shift, owner });
  } catch (thrown) {
    source.rethrow();
    if (!isKilnError(thrown, 'BLOB_CORRUPT')) throw thrown;
    throw new KilnError('STEP_FAILED', `the archive ${name} cannot be unpacked: ${messageOf(thrown)}`, {
      hint: 'pack it anew; COPY puts it into the image as it is',
      cause: thrown,
    });
  }
}

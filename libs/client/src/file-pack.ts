import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { changedFile, type LocalFile, readSmallFile } from '#context';
import { type Digest, digestOf, hexOf } from '#oci';
import { encodeHeader, endOfTar, padding } from '#tar';

/** A file that the farm wants. */
export interface WantedFile {
  readonly digest: Digest;
  readonly file: LocalFile;
}

/** The quickest: what is sent to a farm nearby must not wait for it. */
const LEVEL = 1;
const HEADER_BYTES = 512;
const compress = promisify(zstdCompress);

/** Of one file in a pack, besides itself. */
export const ENTRY_BYTES = 2 * HEADER_BYTES;

/**
 * Reads small files into a tar, under the names of their digests.
 * @throws KilnError CONTEXT_INVALID naming a file that cannot be read, or is not what it was
 */
export function readPack(wanted: readonly WantedFile[]): Buffer {
  const sizes = wanted.map(({ file: { sizeBytes } }) => HEADER_BYTES + sizeBytes + padding(sizeBytes));
  // One buffer for all: thousands of small ones keep the collector of garbage busy.
  const tar = Buffer.alloc(sizes.reduce((sum, size) => sum + size, endOfTar.length));
  let at = 0;
  for (const [index, { digest, file }] of wanted.entries()) {
    encodeHeader({
      name: Buffer.from(`sha256/${hexOf(digest)}`),
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: file.sizeBytes,
      mtime: 0,
    }).copy(tar, at);
    const bytes = tar.subarray(at + HEADER_BYTES, at + HEADER_BYTES + file.sizeBytes);
    readSmallFile(file, bytes);
    if (digestOf(bytes) !== digest) throw changedFile(file.path);
    at += sizes[index] ?? 0;
  }
  return tar;
}

/** As it is sent: a frame of zstd. */
export function compressed(bytes: Uint8Array): Promise<Buffer> {
  return compress(bytes, { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } });
}

import { execFileSync } from 'node:child_process';
import { gzipSync, zstdCompressSync } from 'node:zlib';

export type Compression = 'none' | 'gzip' | 'bzip2' | 'xz' | 'zstd';

/** The same bytes for the same input on one machine. */
export function compress(bytes: Buffer, how: Compression): Buffer {
  switch (how) {
    case 'none':
      return bytes;
    case 'gzip':
      return gzipSync(bytes);
    case 'zstd':
      return zstdCompressSync(bytes);
    case 'bzip2':
    case 'xz':
      return execFileSync(how, ['-c'], { input: bytes, maxBuffer: 1024 ** 3 });
  }
}

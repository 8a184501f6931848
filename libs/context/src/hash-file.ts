import { hash, createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type FileStamp, stampOf } from './file-stamp.ts';

/** No imports but Node's own and the stamp: threads load it as it is. */
export const READ_FLAGS: number = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Files up to this size are read at once. */
const BUFFER_BYTES = 1024 * 1024;

export interface HashedFile {
  /** 64 hexadecimal digits */
  readonly sha256: string;
  /** once all was read; undefined when it is no longer a file */
  readonly stamp: FileStamp | undefined;
}

export class FileHasher {
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES + 1);

  /** Blocks while it reads. Throws what the file system says. */
  hash(diskPath: Uint8Array): HashedFile {
    const descriptor = openSync(Buffer.from(diskPath.buffer, diskPath.byteOffset, diskPath.byteLength), READ_FLAGS);
    try {
      const sha256 = this.#digest(descriptor);
      const stats = fstatSync(descriptor, { bigint: true });
      return { sha256, stamp: stats.isFile() ? stampOf(stats) : undefined };
    } finally {
      closeSync(descriptor);
    }
  }

  #digest(descriptor: number): string {
    const first = this.#fill(descriptor);
    if (first < this.#buffer.length) return hash('sha256', this.#buffer.subarray(0, first), 'hex');
    const hasher = createHash('sha256').update(this.#buffer);
    for (let size = this.#fill(descriptor); size > 0; size = this.#fill(descriptor))
      hasher.update(this.#buffer.subarray(0, size));
    return hasher.digest('hex');
  }

  /** Less than the buffer only at the end of the file. */
  #fill(descriptor: number): number {
    let size = 0;
    for (let read = -1; read !== 0 && size < this.#buffer.length; size += read)
      read = readSync(descriptor, this.#buffer, size, this.#buffer.length - size, null);
    return size;
  }
}

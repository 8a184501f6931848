import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { isKilnError, KilnError } from '#std';
import { stampOf } from './file-stamp.ts';
import { READ_FLAGS } from './hash-file.ts';
import { type ContextFile, unreadable } from './walk-context.ts';

/** A file of a context on the client's disk, as it was when it was digested. */
export type LocalFile = Pick<ContextFile, 'path' | 'diskPath' | 'sizeBytes' | 'stamp'>;

export function changedFile(path: string): KilnError {
  return new KilnError('CONTEXT_INVALID', `${JSON.stringify(path)} of the context changed while it was read`, {
    hint: 'build again when nothing writes to the context, or leave the file out with .dockerignore',
  });
}

/**
 * A small file, into a buffer of its size. Blocks: for many of them, promises take four times as long.
 * @throws KilnError CONTEXT_INVALID when it cannot be read, or is not what it was
 */
export function readSmallFile(file: LocalFile, into: Uint8Array): void {
  try {
    const descriptor = openSync(file.diskPath, READ_FLAGS);
    try {
      let size = 0;
      for (let read = -1; read !== 0 && size < into.length; size += read)
        read = readSync(descriptor, into, size, into.length - size, null);
      const stats = fstatSync(descriptor, { bigint: true });
      const same = stats.isFile() && stampOf(stats).version === file.stamp.version;
      if (!same || size !== into.length) throw changedFile(file.path);
    } finally {
      closeSync(descriptor);
    }
  } catch (thrown) {
    throw isKilnError(thrown) ? thrown : unreadable(file.path, thrown);
  }
}

/**
 * Bytes of a large file from `start` on, at most `sizeBytes` of them.
 * @throws KilnError CONTEXT_INVALID when it cannot be read, or is not what it was
 */
export async function readLocalFile(file: LocalFile, start = 0, sizeBytes = file.sizeBytes): Promise<Buffer> {
  await using handle = await open(file.diskPath, READ_FLAGS).catch((thrown: unknown) => {
    throw unreadable(file.path, thrown);
  });
  const buffer = Buffer.allocUnsafe(Math.min(sizeBytes, file.sizeBytes - start));
  let size = 0;
  while (size < buffer.length) {
    const { bytesRead } = await handle.read(buffer, size, buffer.length - size, start + size);
    if (bytesRead === 0) throw changedFile(file.path);
    size += bytesRead;
  }
  const stats = await handle.stat({ bigint: true });
  if (!stats.isFile() || stampOf(stats).version !== file.stamp.version) throw changedFile(file.path);
  return buffer;
}

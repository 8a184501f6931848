import { constants, type FileHandle, open } from 'node:fs/promises';
import type { Bytes } from '#std';

/** Holes are made of whole ones of these. */
const BLOCK_BYTES = 64 * 1024;
const zeros = Buffer.alloc(BLOCK_BYTES);

/**
 * Makes a new file of a stream's bytes; where whole blocks are zero it has holes, so that what is sparse at its source
 * takes no more room here.
 * @throws EEXIST when something is there, a link included
 */
export async function writeSparseFile(body: Bytes, path: string | Buffer): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  await using file = await open(path, flags, 0o600);
  let size = 0;
  for await (const chunk of body) {
    for (const { from, to } of filledParts(chunk)) await writeAll(file, chunk.subarray(from, to), size + from);
    size += chunk.byteLength;
  }
  await file.truncate(size);
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.byteLength; ) {
    at += (await file.write(bytes, at, bytes.byteLength - at, position + at)).bytesWritten;
  }
}

/** The parts of a chunk that are not zero, in whole blocks from its start. */
export function* filledParts(chunk: Uint8Array): Generator<{ readonly from: number; readonly to: number }> {
  let from: number | undefined;
  for (let at = 0; at < chunk.byteLength; at += BLOCK_BYTES) {
    const block = chunk.subarray(at, at + BLOCK_BYTES);
    if (zeros.compare(block, 0, block.byteLength, 0, block.byteLength) === 0) {
      if (from !== undefined) yield { from, to: at };
      from = undefined;
    } else from ??= at;
  }
  if (from !== undefined) yield { from, to: chunk.byteLength };
}

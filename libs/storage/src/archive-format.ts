import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { decodeLines, encodeLines } from '#content';
import { BuildEvent, type NumberedEvent } from '#protocol';
import { KilnError, messageOf } from '#std';
import { z } from 'zod';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

const HEADER = 'kiln-events 1';
const LEVEL = 3;
const UNPACKED_LIMIT_BYTES = 256 * 1024 * 1024;
const Line = z.object({ seq: z.int().positive(), event: BuildEvent });

/** An event as it stands in its row. */
export interface StoredEvent {
  readonly seq: number;
  /** JSON, character for character */
  readonly payload: string;
}

/** Events as one blob: a header line, then a line of JSON an event; zstd. */
export async function encodeArchive(events: readonly StoredEvent[]): Promise<Buffer> {
  const lines = events.map(({ seq, payload }) => `{"seq":${seq},"event":${payload}}`);
  return await compress(encodeLines(HEADER, lines), { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } });
}

/** @throws KilnError BLOB_CORRUPT when the bytes are no archive */
export async function decodeArchive(bytes: Uint8Array): Promise<readonly NumberedEvent[]> {
  try {
    const unpacked = await decompress(bytes, { maxOutputLength: UNPACKED_LIMIT_BYTES });
    return decodeLines(unpacked, { header: HEADER, what: 'archived events', schema: Line });
  } catch (cause) {
    throw new KilnError('BLOB_CORRUPT', `archived events cannot be read: ${messageOf(cause)}`, { cause });
  }
}

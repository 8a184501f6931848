import { closeSync, createWriteStream, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';
import { type Digest, digestOf, Hasher } from '#oci';
import { KilnError } from '#std';
import type { Pack } from './packed-tree.ts';

/** Small files together; what is larger has a pack of its own. */
export const PACK_BYTES = 8 * 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const params = { [constants.ZSTD_c_compressionLevel]: 3 };

/** A pack that is not in the content store yet. */
export interface PackFile extends Pack {
  readonly file: string;
}

export interface Place {
  readonly pack: Digest;
  readonly at: number;
}

/** Puts files' bytes one behind the other into zstd blobs, written to a directory. */
export class PackWriter {
  readonly packs: PackFile[] = [];
  readonly #dir: string;
  readonly #places = new Map<Digest, { at: number; pack: Digest | undefined }>();
  #open: { readonly digest: Digest; readonly bytes: Buffer }[] = [];
  #openBytes = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @throws KilnError INTERNAL when the file is not of that size any more */
  async add(path: string | Buffer, digest: Digest, size: number): Promise<void> {
    if (this.#places.has(digest)) return;
    if (size > PACK_BYTES) return await this.#alone(path, digest, size);
    if (this.#openBytes + size > PACK_BYTES) this.#close();
    this.#places.set(digest, { at: this.#openBytes, pack: undefined });
    this.#open.push({ digest, bytes: Buffer.concat([...pieces(path, size)]) });
    this.#openBytes += size;
  }

  /** Where everything is that was added. */
  finish(): ReadonlyMap<Digest, Place> {
    this.#close();
    const places = new Map<Digest, Place>();
    for (const [digest, { at, pack }] of this.#places) if (pack !== undefined) places.set(digest, { at, pack });
    return places;
  }

  #close(): void {
    if (this.#open.length === 0) return;
    const blob = zstdCompressSync(Buffer.concat(this.#open.map(({ bytes }) => bytes)), { params });
    const pack = { digest: digestOf(blob), sizeBytes: blob.length, rawBytes: this.#openBytes, file: this.#next() };
    writeFileSync(pack.file, blob, { mode: 0o600 });
    this.packs.push(pack);
    for (const { digest } of this.#open) this.#settle(digest, pack.digest);
    this.#open = [];
    this.#openBytes = 0;
  }

  async #alone(path: string | Buffer, digest: Digest, size: number): Promise<void> {
    const hasher = new Hasher();
    const file = this.#next();
    await pipeline(
      Readable.from(pieces(path, size), { objectMode: false, highWaterMark: 1024 * 1024 }),
      createZstdCompress({ params }),
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          hasher.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(file, { mode: 0o600 }),
    );
    const pack = { sizeBytes: hasher.sizeBytes, digest: hasher.digest(), rawBytes: size, file };
    this.packs.push(pack);
    this.#places.set(digest, { at: 0, pack: pack.digest });
  }

  #settle(digest: Digest, pack: Digest): void {
    const place = this.#places.get(digest);
    if (place !== undefined) place.pack = pack;
  }

  #next(): string {
    return join(this.#dir, `pack-${this.packs.length}`);
  }
}

function* pieces(path: string | Buffer, size: number): Generator<Buffer, void> {
  const file = openSync(path, 'r');
  try {
    for (let left = size; left > 0; ) {
      const piece = Buffer.allocUnsafe(Math.min(left, PIECE_BYTES));
      const read = readSync(file, piece, 0, piece.length, null);
      if (read === 0) throw new KilnError('INTERNAL', `${path.toString()} became shorter while it was read`);
      left -= read;
      yield piece.subarray(0, read);
    }
  } finally {
    closeSync(file);
  }
}

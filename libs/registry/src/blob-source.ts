import type { Descriptor } from '#oci';
import { type Bytes, KilnError } from '#std';

/** A blob that can be read from anywhere: onwards from where it is, or opened anew. */
export class BlobSource implements AsyncDisposable {
  /** where the last slice ended, when it was read to its end */
  #cursor: Cursor | undefined;

  constructor(
    readonly open: () => Bytes,
    readonly descriptor: Descriptor,
  ) {}

  /**
   * Bytes from an offset to another one; the last slice checks that there are no more.
   * @throws KilnError BLOB_CORRUPT when the blob is shorter or longer than its descriptor
   */
  async *slice(from: number, to: number): Bytes {
    const cursor = await this.#seek(from);
    try {
      while (cursor.at < to) yield await this.#take(cursor, to - cursor.at);
      if (to === this.descriptor.size && !(await cursor.ended())) throw this.#wrongSize();
      this.#cursor = cursor;
    } finally {
      if (this.#cursor !== cursor) await cursor[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cursor?.[Symbol.asyncDispose]();
  }

  /** A slice that was left in its middle may still be waiting for bytes: its cursor is not used again. */
  async #seek(offset: number): Promise<Cursor> {
    const known = this.#cursor;
    this.#cursor = undefined;
    if (known?.at === offset) return known;
    await known?.[Symbol.asyncDispose]();
    const cursor = new Cursor(this.open());
    while (cursor.at < offset) await this.#take(cursor, offset - cursor.at);
    return cursor;
  }

  async #take(cursor: Cursor, limit: number): Promise<Uint8Array> {
    const piece = await cursor.take(limit);
    if (piece === undefined) throw this.#wrongSize();
    return piece;
  }

  /** Our own fault, not the registry's. */
  #wrongSize(): KilnError {
    const { digest, size } = this.descriptor;
    return new KilnError('BLOB_CORRUPT', `the blob ${digest} is not ${size} bytes long`);
  }
}

/** A place in a stream. */
class Cursor implements AsyncDisposable {
  /** bytes taken so far */
  at = 0;
  #left: Uint8Array = Buffer.alloc(0);
  readonly #stream: AsyncIterator<Uint8Array>;

  constructor(source: Bytes) {
    this.#stream = source[Symbol.asyncIterator]();
  }

  /** The next bytes, at most `limit`; undefined at the end. */
  async take(limit: number): Promise<Uint8Array | undefined> {
    if (await this.ended()) return undefined;
    const piece = this.#left.subarray(0, limit);
    this.#left = this.#left.subarray(piece.byteLength);
    this.at += piece.byteLength;
    return piece;
  }

  async ended(): Promise<boolean> {
    while (this.#left.byteLength === 0) {
      const next = await this.#stream.next();
      if (next.done === true) return true;
      this.#left = next.value;
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream.return?.();
  }
}

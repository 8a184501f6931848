import type { Bytes } from '#std';

/** A stream of bytes, taken in pieces of the size that is needed. It holds one chunk more than was asked for. */
export class ByteQueue {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);

  constructor(source: Bytes) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Exactly `size` bytes; undefined when there are fewer. */
  async take(size: number): Promise<Buffer | undefined> {
    if (this.#chunk.length >= size) return this.#shift(size);
    const parts: Buffer[] = [];
    for (let left = size; left > 0; ) {
      const part = await this.some(left);
      if (part === undefined) return undefined;
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** At least one and at most `size` bytes; undefined at the end. */
  async some(size: number): Promise<Buffer | undefined> {
    if (await this.atEnd()) return undefined;
    return this.#shift(Math.min(size, this.#chunk.length));
  }

  async atEnd(): Promise<boolean> {
    while (this.#chunk.length === 0) if (!(await this.#fill())) return true;
    return false;
  }

  /** Whether there were as many. */
  async skip(size: number): Promise<boolean> {
    for (let left = size; left > 0; ) {
      const part = await this.some(left);
      if (part === undefined) return false;
      left -= part.length;
    }
    return true;
  }

  /** Reads the rest. */
  async drain(): Promise<void> {
    while (await this.#fill());
    this.#chunk = Buffer.alloc(0);
  }

  /** Lets go of the source early. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #fill(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done === true) return false;
    const { buffer, byteOffset, byteLength } = next.value;
    this.#chunk = Buffer.from(buffer, byteOffset, byteLength);
    return true;
  }

  #shift(size: number): Buffer {
    const part = this.#chunk.subarray(0, size);
    this.#chunk = this.#chunk.subarray(size);
    return part;
  }
}

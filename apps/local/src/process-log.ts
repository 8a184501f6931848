import { createWriteStream, renameSync, statSync, type WriteStream } from 'node:fs';

const LIMIT_BYTES = 16 * 1024 * 1024;

/** What a process says, in a file; beyond 16 MiB the file becomes `<path>.1` and a new one begins. */
export class ProcessLog {
  readonly #path: string;
  #stream: WriteStream;
  #size: number;
  #tail = '';

  constructor(path: string) {
    this.#path = path;
    this.#size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    this.#stream = this.#open();
  }

  write(chunk: Buffer): void {
    this.#tail = (this.#tail + chunk.toString()).slice(-2_000);
    this.#size += chunk.byteLength;
    this.#stream.write(chunk);
    if (this.#size < LIMIT_BYTES) return;
    this.#stream.end();
    renameSync(this.#path, `${this.#path}.1`);
    this.#size = 0;
    this.#stream = this.#open();
  }

  /** The last lines that were written. */
  tail(): string {
    return this.#tail.trim();
  }

  close(): void {
    this.#stream.end();
  }

  #open(): WriteStream {
    const stream = createWriteStream(this.#path, { flags: 'a', mode: 0o600 });
    // A full disk costs the log, not the farm.
    stream.on('error', () => undefined);
    return stream;
  }
}

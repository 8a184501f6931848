import { type Bytes, isKilnError, KilnError, messageOf } from '#std';
import { type Extract, extract } from 'tar-stream';
import { decompress } from './decompress.ts';

const BLOCK_BYTES = 512;
/** Of a file, on average. */
const ATTRIBUTE_BYTES = 1_024;

/** latin1 keeps a header's names byte by byte; archives older than ustar have no mark of their format. */
const parserOptions = { highWaterMark: 64 * 1024, filenameEncoding: 'latin1', allowUnknownFormat: true };

const toWholeBlock = (sizeBytes: number): number => (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;

/** One file of an archive: its header as the parser gives it, and its bytes, to be read before the next file. */
export interface ArchivedFile {
  readonly header: unknown;
  readonly bytes: Bytes;
}

export function tooLarge(what: string): KilnError {
  return new KilnError('LIMIT_EXCEEDED', `the context has more than ${what}`, {
    hint: 'leave out with .dockerignore what the build does not need (.git, node_modules, build output)',
  });
}

/** Of attributes that stand before one file: what is taken apart in one go. */
const MAX_ATTRIBUTE_BYTES = 128 * 1024;

/**
 * tar-stream takes PAX records apart in one go, 4 MiB in seconds, before there is a file; and has no option for less.
 * @param mostBytes of all of them
 */
function boundAttributes(parser: Extract, mostBytes: number): void {
  const decode: unknown = Reflect.get(parser, '_decodeLongHeader');
  if (typeof decode !== 'function') throw new KilnError('INTERNAL', 'the tar parser is another one');
  let seen = 0;
  const bounded = (bytes: Uint8Array): void => {
    seen += bytes.byteLength;
    if (bytes.byteLength > MAX_ATTRIBUTE_BYTES) throw tooLarge(`${MAX_ATTRIBUTE_BYTES} bytes of attributes of a file`);
    if (seen > mostBytes) throw tooLarge(`${mostBytes} bytes of attributes`);
    Reflect.apply(decode, parser, [bytes]);
  };
  Reflect.set(parser, '_decodeLongHeader', bounded);
}

export interface ArchiveLimits {
  readonly maxBytes: number;
  readonly maxFiles: number;
  readonly mayLackEnd?: boolean | undefined;
}

/** tar-stream's types leave out that a file can be iterated. */
function bytesOf(file: object): Bytes {
  const iterable = (value: object): value is Bytes => Symbol.asyncIterator in value;
  if (iterable(file)) return file;
  throw new KilnError('INTERNAL', 'the tar parser gave no stream');
}

/** Waits until the parser takes more, or is gone. */
function write(parser: Extract, chunk: Uint8Array): Promise<void> | undefined {
  if (parser.write(chunk)) return undefined;
  return new Promise((resolve) => {
    const done = (): void => {
      parser.off('drain', done);
      parser.off('close', done);
      resolve();
    };
    parser.on('drain', done);
    parser.on('close', done);
  });
}

/** A tar, perhaps compressed, as it streams; and who is to blame when it fails. */
export class Archive {
  readonly #source: Bytes;
  readonly #maxBytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #parser = extract(parserOptions);
  /** what went wrong with the bytes before the parser saw them */
  #failure: { readonly thrown: unknown } | undefined;
  /** what the parser said of them */
  #damage: unknown;
  #bytesReceived = 0;
  readonly #mayLackEnd: boolean;
  /** of the last file, as its header has it */
  #lastBytes = 0;
  /** zeros that were put behind what came, up to a whole block */
  #filledBytes = 0;
  #tail = Buffer.alloc(0);

  /** @param mayLackEnd docker's client leaves the last file's padding and the end out where it has put a Dockerfile in */
  constructor(
    source: Bytes,
    { maxBytes, maxFiles, mayLackEnd = false }: ArchiveLimits,
    signal: AbortSignal | undefined,
  ) {
    this.#source = source;
    this.#maxBytes = maxBytes;
    this.#mayLackEnd = mayLackEnd;
    this.#signal = signal;
    boundAttributes(this.#parser, maxFiles * ATTRIBUTE_BYTES);
  }

  /** As sent, compressed or not. */
  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  async *files(): AsyncGenerator<ArchivedFile> {
    const stop = (): void => this.#fail(this.#signal?.reason);
    this.#parser.on('error', (damage: unknown) => {
      this.#damage ??= damage;
    });
    this.#signal?.throwIfAborted();
    this.#signal?.addEventListener('abort', stop);
    try {
      void this.#feed();
      for await (const file of this.#parser) {
        this.#lastBytes = file.header.size ?? 0;
        yield { header: file.header, bytes: bytesOf(file) };
      }
      this.#checkEnd();
    } finally {
      this.#signal?.removeEventListener('abort', stop);
      // The feeder ends with the parser, at the source's next chunk: a client that stalls holds nobody up.
      this.#parser.destroy(null);
    }
  }

  /** What to tell of a failure while the files were read: whose it was first. */
  explain(thrown: unknown): unknown {
    if (this.#failure !== undefined) return this.#failure.thrown;
    if (this.#damage === undefined || isKilnError(thrown)) return thrown;
    return new KilnError('CONTEXT_INVALID', `the context is no whole tar archive: ${messageOf(this.#damage)}`, {
      cause: this.#damage,
    });
  }

  #fail(thrown: unknown): void {
    this.#failure ??= { thrown };
    this.#parser.destroy(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }

  async *#received(): Bytes {
    for await (const chunk of this.#source) {
      this.#bytesReceived += chunk.byteLength;
      yield chunk;
    }
  }

  /** Feeds the parser to its end; never rejects. */
  async #feed(): Promise<void> {
    try {
      let size = 0;
      for await (const chunk of decompress(this.#received())) {
        if (this.#parser.destroyed) return;
        size += chunk.byteLength;
        if (size > this.#maxBytes) throw tooLarge(`${this.#maxBytes} bytes`);
        this.#tail = Buffer.concat([this.#tail, chunk.subarray(-BLOCK_BYTES)]).subarray(-BLOCK_BYTES);
        await write(this.#parser, chunk);
      }
      if (this.#mayLackEnd) {
        this.#filledBytes = toWholeBlock(size);
        await write(this.#parser, Buffer.alloc(this.#filledBytes));
      }
      this.#parser.end(null);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** An archive that is cut between two files looks whole, but for the empty block at its end. */
  #checkEnd(): void {
    if (this.#tail.length === BLOCK_BYTES && this.#tail.every((byte) => byte === 0)) return;
    // What was filled up is behind the last file, and nothing of it.
    if (this.#mayLackEnd && this.#filledBytes <= toWholeBlock(this.#lastBytes)) return;
    throw new KilnError('CONTEXT_INVALID', 'the context archive is cut off: it has no end', { hint: 'send it again' });
  }
}

import { isUtf8 } from 'node:buffer';
import { messageOf, KilnError } from '#std';
import type { z } from 'zod';

/** A list of paths in bytes: one header line that names kind and version, then one line of JSON an entry. */
export interface ListFormat<T> {
  /** the first line, without its end */
  readonly header: string;
  /** for messages: `a layer's delta` */
  readonly what: string;
  readonly schema: z.ZodType<T>;
}

export function encodeLines(header: string, lines: readonly string[]): Buffer {
  return Buffer.from(`${[header, ...lines].join('\n')}\n`, 'utf8');
}

/** @throws KilnError INVALID_ARGUMENT naming the line */
export function decodeLines<T>(bytes: Uint8Array, format: ListFormat<T>): T[] {
  const refuse = refusing(format);
  if (!isUtf8(bytes)) throw refuse(1, 'not UTF-8');
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8').split('\n');
  if (lines.pop() !== '') throw refuse(lines.length + 1, 'cut off');
  if (lines[0] !== format.header) throw refuse(1, `expected ${format.header}`);
  const entries: T[] = [];
  for (let index = 1; index < lines.length; index++) {
    entries.push(parseLine(lines[index] ?? '', index + 1, format));
  }
  return entries;
}

type Refuse = (line: number, why: string, cause?: unknown) => KilnError;

const refusing =
  <T>({ what }: ListFormat<T>): Refuse =>
  (line, why, cause) =>
    new KilnError('INVALID_ARGUMENT', `${what}, line ${line}: ${why}`, { cause });

function parseLine<T>(text: string, line: number, format: ListFormat<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refusing(format)(line, messageOf(cause), cause);
  }
  const parsed = format.schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw refusing(format)(line, parsed.error.issues[0]?.message ?? 'not an entry', parsed.error);
}

const NEWLINE = 10;
/** Of an entry with names as long as systems allow, each byte escaped. */
const MAX_LINE_BYTES = 128 * 1024;

/** The same as {@link decodeLines}, of bytes that come in chunks: nothing but the line that is not whole yet is held. */
export class ListReader<T> {
  readonly #format: ListFormat<T>;
  readonly #refuse: Refuse;
  /** of the line that is not whole yet */
  #begun: Uint8Array[] = [];
  #begunBytes = 0;
  /** of whole lines */
  #lines = 0;

  constructor(format: ListFormat<T>) {
    this.#format = format;
    this.#refuse = refusing(format);
  }

  /** Entries whose lines end in this chunk. @throws KilnError INVALID_ARGUMENT naming the line, LIMIT_EXCEEDED */
  *read(chunk: Uint8Array): Generator<T> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      this.#hold(bytes.subarray(from, end));
      from = end + 1;
      const text = this.#take();
      this.#lines++;
      if (this.#lines > 1) yield parseLine(text, this.#lines, this.#format);
      else if (text !== this.#format.header) throw this.#refuse(1, `expected ${this.#format.header}`);
    }
    this.#hold(bytes.subarray(from));
  }

  /** @throws KilnError INVALID_ARGUMENT when what came is cut off */
  end(): void {
    if (this.#begunBytes > 0) throw this.#refuse(this.#lines + 1, 'cut off');
    if (this.#lines === 0) throw this.#refuse(1, `expected ${this.#format.header}`);
  }

  #hold(bytes: Uint8Array): void {
    this.#begunBytes += bytes.byteLength;
    if (this.#begunBytes > MAX_LINE_BYTES)
      throw new KilnError('LIMIT_EXCEEDED', `${this.#format.what}: a line is longer than ${MAX_LINE_BYTES} bytes`);
    if (bytes.byteLength > 0) this.#begun.push(bytes);
  }

  #take(): string {
    const [only = new Uint8Array(), ...more] = this.#begun;
    this.#begun = [];
    this.#begunBytes = 0;
    const line =
      more.length === 0 ? Buffer.from(only.buffer, only.byteOffset, only.byteLength) : Buffer.concat([only, ...more]);
    // Else what is no character would come out as another.
    if (!isUtf8(line)) throw this.#refuse(this.#lines + 1, 'not UTF-8');
    return line.toString('utf8');
  }
}

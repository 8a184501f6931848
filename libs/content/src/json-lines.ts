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
  const refuse = (line: number, why: string, cause?: unknown): KilnError =>
    new KilnError('INVALID_ARGUMENT', `${format.what}, line ${line}: ${why}`, { cause });
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8').split('\n');
  if (lines.pop() !== '') throw refuse(lines.length + 1, 'cut off');
  if (lines[0] !== format.header) throw refuse(1, `expected ${format.header}`);
  const entries: T[] = [];
  for (let index = 1; index < lines.length; index++) {
    let value: unknown;
    try {
      value = JSON.parse(lines[index] ?? '');
    } catch (cause) {
      throw refuse(index + 1, messageOf(cause), cause);
    }
    const parsed = format.schema.safeParse(value);
    if (!parsed.success) throw refuse(index + 1, parsed.error.issues[0]?.message ?? 'not an entry', parsed.error);
    entries.push(parsed.data);
  }
  return entries;
}

import { csvFields } from '#std';
import { z } from 'zod';
import { usageError } from '../usage.ts';

/** How one text holds several values. */
export type ListForm =
  /** a value a line */
  | 'lines'
  /** a value a line, or between commas */
  | 'commas'
  /** NAME=VALUE a line; between commas where NAME= follows each */
  | 'pairs';

const Values = z.array(z.union([z.string(), z.number(), z.boolean()]).transform(String));
const Mapping = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String));

/**
 * The values of a setting that may have several. A line in quotes may go over several lines, with "" for a quote; `#` begins
 * no comment. JSON, as some CIs hand on lists and mappings, is read as such.
 * @throws KilnError INVALID_ARGUMENT naming the setting
 */
export function readList(name: string, text: string, form: ListForm): readonly string[] {
  const json = jsonValues(text.trim());
  if (json !== undefined) return json;
  const records = recordsOf(name, text);
  // Several lines say how they are to be read apart.
  if (records.length > 1 || form === 'lines') return form === 'commas' ? records.flatMap(commas) : records;
  return form === 'commas' ? records.flatMap(commas) : records.flatMap(pairs);
}

function jsonValues(text: string): readonly string[] | undefined {
  if (!/^[[{]/.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    const list = Values.safeParse(value);
    if (list.success) return list.data;
    const mapping = Mapping.safeParse(value);
    return mapping.success ? Object.entries(mapping.data).map(([key, each]) => `${key}=${each}`) : undefined;
  } catch {
    // Text that only begins like JSON.
    return undefined;
  }
}

function recordsOf(name: string, text: string): readonly string[] {
  const records: string[] = [];
  let quoted: string[] | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (quoted === undefined && !line.trimStart().startsWith('"')) {
      if (line.trim() !== '') records.push(line.trim());
      continue;
    }
    quoted = [...(quoted ?? []), quoted === undefined ? line.trimStart() : line];
    const record = quoted.join('\n');
    // Whole when its quotes come in pairs.
    if ((record.match(/"/g)?.length ?? 0) % 2 !== 0) continue;
    quoted = undefined;
    const whole = /^"([^]*)"\s*$/.exec(record)?.[1];
    records.push(whole === undefined ? record.trim() : whole.replaceAll('""', '"'));
  }
  if (quoted !== undefined) throw usageError(`${name}: a quote is not closed: ${JSON.stringify(quoted[0])}`);
  return records;
}

const commas = (record: string): readonly string[] =>
  csvFields(record)
    .map((field) => field.trim())
    .filter((field) => field !== '');

const pairs = (record: string): readonly string[] => record.split(/,(?=[A-Za-z_][\w.-]*=)/);

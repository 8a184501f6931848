import { usageError } from '../usage.ts';

/** The fields of a line of comma-separated values: a field in double quotes may hold commas, and quotes as `""`. */
export function csvFields(line: string): string[] {
  const fields: string[] = [];
  let field = '';
  let quoted = false;
  for (let at = 0; at < line.length; at++) {
    const character = line[at];
    if (character === '"' && quoted && line[at + 1] === '"') field += line[++at];
    else if (character === '"' && (quoted || field === '')) quoted = !quoted;
    else if (character === ',' && !quoted) {
      fields.push(field);
      field = '';
    } else field += character;
  }
  if (quoted) throw usageError(`a quote is not closed: ${line}`);
  return [...fields, field];
}

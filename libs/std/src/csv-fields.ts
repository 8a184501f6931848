import { KilnError } from './errors.ts';

/**
 * One line of comma-separated values: a field that begins with `"` ends with one, and holds `""` for each quote in it.
 * @throws KilnError INVALID_ARGUMENT for a quote anywhere else, and for an empty text
 */
export function csvFields(text: string): readonly string[] {
  if (text === '') throw new KilnError('INVALID_ARGUMENT', 'there is nothing in it');
  const fields: string[] = [];
  for (let at = 0; ; at += 1) {
    const quoted = text.startsWith('"', at);
    const end = quoted ? endOfQuoted(text, at) : endOfPlain(text, at);
    fields.push(quoted ? text.slice(at + 1, end - 1).replaceAll('""', '"') : text.slice(at, end));
    if (end === text.length) return fields;
    if (text.charAt(end) !== ',') throw misplaced(text, end - 1);
    at = end;
  }
}

function endOfPlain(text: string, start: number): number {
  const comma = text.indexOf(',', start);
  const end = comma === -1 ? text.length : comma;
  const quote = text.slice(start, end).indexOf('"');
  if (quote !== -1) throw misplaced(text, start + quote);
  return end;
}

/** Behind the closing quote. */
function endOfQuoted(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 2)) {
    if (text.charAt(at + 1) !== '"') return at + 1;
  }
  throw new KilnError('INVALID_ARGUMENT', `a quote is not closed in ${JSON.stringify(text)}`);
}

function misplaced(text: string, at: number): KilnError {
  return new KilnError(
    'INVALID_ARGUMENT',
    `a quote stands where none may be, at ${at + 1} in ${JSON.stringify(text)}`,
    {
      hint: 'a field that holds commas or quotes begins and ends with a quote, and writes its own quotes twice',
    },
  );
}

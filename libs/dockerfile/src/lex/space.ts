/** White space as Go's unicode.IsSpace has it: with U+0085, without U+FEFF. */
const space = '\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const isPattern = new RegExp(`^[${space}]$`);
const run = new RegExp(`[${space}]+`);
const leading = new RegExp(`^[${space}]+`);

export function isSpace(char: string): boolean {
  // Nearly all characters of a Dockerfile are told apart without a pattern.
  const code = char.charCodeAt(0);
  return code < 0x80 ? code === 0x20 || (code >= 0x09 && code <= 0x0d) : isPattern.test(char);
}

/** What may stand between an escape token and the end of its line. */
export function isBlank(char: string): boolean {
  return char === ' ' || char === '\t';
}

/** Without the carriage returns and line feeds at its end. */
export function trimLineEnd(line: string): string {
  let end = line.length;
  while (end > 0 && (line.charAt(end - 1) === '\n' || line.charAt(end - 1) === '\r')) end -= 1;
  return line.slice(0, end);
}

export function trimStart(text: string): string {
  return text.replace(leading, '');
}

export function trim(text: string): string {
  const start = trimStart(text);
  let end = start.length;
  while (end > 0 && isSpace(start.charAt(end - 1))) end -= 1;
  return start.slice(0, end);
}

/** Splits at runs of white space; the first and the last part may be empty. */
export function splitSpace(text: string): string[] {
  return text.split(run);
}

/** Splits at runs of white space within a line; `limit` parts at most, the last with the rest. */
export function splitBlank(text: string, limit = Number.POSITIVE_INFINITY): string[] {
  const parts: string[] = [];
  const blank = /[\t\v\f\r ]+/g;
  let from = 0;
  for (let match = blank.exec(text); match !== null && parts.length < limit - 1; match = blank.exec(text)) {
    parts.push(text.slice(from, match.index));
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}

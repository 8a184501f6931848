/** Text as Go prints it: image histories are compared byte by byte with those of BuildKit. */
const named: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

/** `%q` of a string. */
export function goQuote(text: string): string {
  let quoted = '';
  for (const char of text) quoted += named[char] ?? (/^[ \p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char) ? char : hex(char));
  return `"${quoted}"`;
}

function hex(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** `%q` of a slice of strings. */
export function goQuoteAll(texts: readonly string[]): string {
  return `[${texts.map(goQuote).join(' ')}]`;
}

/** `%v` of a slice of strings. */
export function goList(texts: readonly string[]): string {
  return `[${texts.join(' ')}]`;
}

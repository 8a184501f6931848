const ESCAPE = '\u001b';
/** ECMA-48: of a control sequence its parameters and final byte, of a title or link all to its end, else one character. */
const sequence = new RegExp(
  `${ESCAPE}(?:\\[[0-?]*[ -/]*[@-~]|\\][^\\u0007${ESCAPE}]*(?:\\u0007|${ESCAPE}\\\\)|[@-Z\\\\^_])`,
  'g',
);

/** A line without what it tells a terminal: colours, links, where the cursor goes. */
export function plainText(line: string): string {
  return line.includes(ESCAPE) ? line.replace(sequence, '') : line;
}

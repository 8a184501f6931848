import stringWidth from 'string-width';

const segments = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
/** Colours are all that is left of control sequences. */
const piece = /\x1b\[[0-9;:]*m|[^\x1b]+/g;
const RESET = '\x1b[0m';

/** Columns that a line takes; colours take none. */
export function widthOf(line: string): number {
  return stringWidth(line);
}

/** The line cut to `width` columns, `…` at its end where it was cut. Colours are closed. */
export function fit(line: string, width: number): string {
  const coloured = line.includes('\x1b');
  if (widthOf(line) <= width) return coloured ? `${line}${RESET}` : line;
  let cut = '';
  let left = Math.max(0, width - 1);
  outer: for (const [part] of line.matchAll(piece)) {
    if (part.startsWith('\x1b')) {
      cut += part;
      continue;
    }
    for (const { segment } of segments.segment(part)) {
      const columns = stringWidth(segment);
      if (columns > left) break outer;
      cut += segment;
      left -= columns;
    }
  }
  return width < 1 ? '' : `${cut}…${coloured ? RESET : ''}`;
}

/** The line cut or filled up to exactly `width` columns. */
export function pad(line: string, width: number): string {
  const cut = fit(line, width);
  return cut + ' '.repeat(Math.max(0, width - widthOf(cut)));
}

/** How many rows of a terminal a line takes. */
export function rowsOf(line: string, columns: number): number {
  return Math.max(1, Math.ceil(widthOf(line) / Math.max(1, columns)));
}

import { cleanLine } from '../progress/log-text.ts';

/** At least this many lines are shown beside one, and beside several. */
const BESIDE_ONE = 4;
const BESIDE_MORE = 2;

export interface SourceLines {
  readonly file: { readonly name: string; readonly text: string };
  readonly line: number;
  readonly endLine: number;
}

/** A part of a Dockerfile between rules, with the lines in question marked, as docker shows it. */
export function sourceLines({ file, line, endLine }: SourceLines): string {
  const lines = file.text.split('\n');
  if (line < 1 || line > lines.length) return '';
  let start = line;
  let end = Math.min(endLine, lines.length);
  const beside = start === end ? BESIDE_ONE : BESIDE_MORE;
  // A line that is not there counts too: at an end of the file, less is shown.
  for (let shown = 0; shown < beside; shown++) {
    if (start > 1) {
      start -= 1;
      shown += 1;
    }
    if (end !== lines.length) {
      end += 1;
      shown += 1;
    }
  }
  const rows = lines.slice(start - 1, end).map((text, index) => {
    const number = start + index;
    const mark = number >= line && number <= endLine ? '>>>' : '   ';
    return ` ${String(number).padStart(3)} | ${mark} ${cleanLine(text.replaceAll('\t', '    '), false)}\n`;
  });
  const rule = '--------------------\n';
  return `${cleanLine(file.name, false)}:${line}\n${rule}${rows.join('')}${rule}`;
}

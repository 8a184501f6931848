import { type LogLine, LogLines, type NumberedEvent, plainText } from '#protocol';

const MAX_LINES = 2_000_000;

/** The lines of a build's log, in the order of their ends, as its events come; what a line says after its last CR. */
export class LogModel {
  readonly lines: LogLine[] = [];
  /** lines that are no more: the first ones of a log longer than a browser holds */
  dropped = 0;
  readonly #folded = new LogLines();

  add(event: NumberedEvent): void {
    for (const line of this.#folded.add(event)) this.lines.push(line);
    if (this.lines.length <= MAX_LINES) return;
    this.lines.splice(0, MAX_LINES / 10);
    this.dropped += MAX_LINES / 10;
  }
}

/** Numbers of the lines that have a text, whatever its case and colours. */
export function findLines(lines: readonly LogLine[], wanted: string): readonly number[] {
  const needle = wanted.toLowerCase();
  if (needle === '') return [];
  return lines.flatMap(({ text }, at) => (plainText(text).toLowerCase().includes(needle) ? [at] : []));
}

import type { ProgressEvent, Renderer, Terminal } from './client-event.ts';
import { failureLines, findingLines, resultRows, summaryLine } from './ending-text.ts';
import { fit, rowsOf } from './fit.ts';
import { type Row, viewRows } from './live-view.ts';
import { cleanLine } from './log-text.ts';
import { type BuildModel, emptyModel, fold, isFarmEvent, warningText } from './model.ts';
import { colours, type Paint } from './paint.ts';

export interface TtyOptions {
  readonly terminal: Terminal;
  readonly nowMs: () => number;
  readonly paint?: Paint;
}

const FRAME_MS = 100;
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_BELOW = '\x1b[J';

/** A live view: what is settled scrolls away as lines like any other; below it, what goes on is drawn anew. */
export class TtyRenderer implements Renderer {
  readonly #terminal: Terminal;
  readonly #nowMs: () => number;
  readonly #paint: Paint;
  readonly #beganMs: number;
  readonly #stopResize: () => void;
  /** rows that have been written for good */
  readonly #settled = new Set<string>();
  #model: BuildModel = emptyModel;
  #timer: NodeJS.Timeout | undefined;
  /** what is drawn below the settled rows */
  #live: readonly string[] = [];
  /** of the farm's clock to ours: the least that was seen, as the rest is delay */
  #skewMs: number | undefined;
  #closed = false;

  constructor({ terminal, nowMs, paint = colours }: TtyOptions) {
    this.#terminal = terminal;
    this.#nowMs = nowMs;
    this.#paint = paint;
    this.#beganMs = nowMs();
    this.#stopResize = terminal.onResize(() => this.#draw());
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
    this.#timer.unref();
    terminal.write(HIDE_CURSOR);
  }

  show(event: ProgressEvent): void {
    if (this.#closed) return;
    this.#model = fold(this.#model, event);
    if (isFarmEvent(event)) this.#skewMs = Math.min(this.#skewMs ?? Infinity, this.#nowMs() - event.atMs);
    switch (event.type) {
      case 'started':
        if (event.attempt > 1) this.note(`builder ${event.builderId} takes the build over (attempt ${event.attempt})`);
        return;
      case 'planned':
        // A take-over plans again, and what was settled may run once more.
        for (const { vertex } of event.vertices) this.#settled.delete(vertex);
        return;
      case 'warning':
        // What the checks found stands at the end.
        return event.rule === undefined ? this.#aside(warningText(event)) : undefined;
      case 'succeeded':
      case 'failed':
      case 'cancelled':
        return this.#end(event);
      default:
    }
  }

  note(line: string): void {
    if (this.#closed) this.#terminal.write(` ${line}\n`);
    else this.#aside(line);
  }

  #aside(line: string): void {
    this.#draw([fit(` ! ${cleanLine(line.replaceAll(/\s+/g, ' '), false)}`, this.#terminal.columns - 1)]);
  }

  close(): void {
    if (this.#closed) return;
    this.#draw();
    this.#finish([]);
  }

  #finish(lines: readonly string[]): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#stopResize();
    this.#terminal.write(lines.map((line) => `${line}\n`).join('') + SHOW_CURSOR);
  }

  #end(event: Extract<ProgressEvent, { type: 'succeeded' | 'failed' | 'cancelled' }>): void {
    this.#draw();
    switch (event.type) {
      case 'succeeded': {
        const pushed =
          event.result.bytes.pushed > 0 || [...this.#model.tasks.keys()].some((id) => id.startsWith('push'));
        const rows = resultRows(event.result, pushed).map(([key, value]) => ` ${key.padEnd(13)}${value}`);
        const wallMs = this.#nowMs() - this.#beganMs;
        const summary = summaryLine(event.result, { wallMs, url: this.#model.build?.url ?? '' });
        return this.#finish([...rows, '', ` ${this.#paint.good(summary)}`, ...this.#findings()]);
      }
      case 'failed':
        return this.#finish([
          ...this.#findings(),
          '',
          ...failureLines(event.failure, this.#model).map((line) => (line === '' ? '' : ` ${line}`)),
        ]);
      case 'cancelled':
        return this.#finish(['', ` build cancelled: ${cleanLine(event.reason, false)}`]);
    }
  }

  #findings(): string[] {
    return findingLines(this.#model).map((line) => (line === '' ? '' : ` ${line}`));
  }

  /** Takes the live part away, writes what has settled since, and draws the live part again: in one write. */
  #draw(asides: readonly string[] = []): void {
    if (this.#closed) return;
    const { columns } = this.#terminal;
    // After a resize the terminal has wrapped what was drawn.
    const drawn = this.#live.reduce((sum, line) => sum + rowsOf(line, columns), 0);
    const { settled, live } = this.#split();
    this.#live = live;
    const up = drawn === 0 ? '\r' : `\r\x1b[${drawn}A`;
    this.#terminal.write(`${up}${CLEAR_BELOW}${[...settled, ...asides, ...live].map((line) => `${line}\n`).join('')}`);
  }

  #split(): { readonly settled: readonly string[]; readonly live: readonly string[] } {
    const { columns, rows: height } = this.#terminal;
    const nowMs = this.#nowMs() - (this.#skewMs ?? 0);
    const rows = viewRows(this.#model, { columns, rows: height, nowMs, paint: this.#paint });
    const open = rows.filter((row) => !this.#settled.has(row.id));
    const ended = this.#model.ending !== undefined;
    const firstOpen = open.findIndex((row) => !row.settled);
    const ready = ended ? open.filter((row) => row.settled) : open.slice(0, firstOpen < 0 ? open.length : firstOpen);
    for (const row of ready) this.#settled.add(row.id);
    const live = ended ? [] : fitHeight(open.slice(ready.length), height - 1);
    return { settled: ready.flatMap((row) => row.lines), live };
  }
}

/** What is pending gives way first, then output: a region that scrolls cannot be drawn again. */
function fitHeight(rows: readonly Row[], height: number): readonly string[] {
  const linesOf = (some: readonly Row[]): string[] => some.flatMap((row) => row.lines);
  if (linesOf(rows).length <= height) return linesOf(rows);
  const room = Math.max(0, height - 1);
  const kept = [...rows];
  while (linesOf(kept).length > room) {
    const last = kept.findLastIndex((row) => row.pending);
    if (last < 0) break;
    kept.splice(last, 1);
  }
  const lines = linesOf(kept).length <= room ? linesOf(kept) : kept.flatMap((row) => row.lines.slice(0, 1));
  const hidden = rows.length - Math.min(kept.length, room);
  return [...lines.slice(0, room), hidden === 0 ? ' …' : ` … and ${hidden} more`];
}

import { bakeError, type Position } from '../position.ts';

/** Deeper than this nobody nests, and it is far from the end of the stack. */
const MAX_DEPTH = 200;

/** Reads a text from its beginning to its end, and knows where that is. */
export class Cursor {
  readonly text: string;
  at = 0;
  readonly #start: Position;
  #lines: readonly number[] | undefined;
  #depth = 0;
  #last = { at: 0, column: 1 };

  /** @param start of the text: a string of a JSON file lies somewhere in it */
  constructor(text: string, start: Position) {
    this.text = text;
    this.#start = start;
  }

  get ended(): boolean {
    return this.at >= this.text.length;
  }

  get next(): string {
    return this.text[this.at] ?? '';
  }

  sees(word: string): boolean {
    return this.text.startsWith(word, this.at);
  }

  /** Takes the word if it comes next. */
  skip(word: string): boolean {
    if (!this.sees(word)) return false;
    this.at += word.length;
    return true;
  }

  /** Takes what a sticky pattern matches here. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    this.at += match[0].length;
    return match;
  }

  position(at = this.at): Position {
    this.#lines ??= lineStarts(this.text);
    let low = 0;
    let high = this.#lines.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lines[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    const column = this.#columnOf(this.#lines[low] ?? 0, at);
    const { file, line, column: first } = this.#start;
    return { file, line: line + low, column: low === 0 ? first + column - 1 : column };
  }

  /** Goes on from the place that was asked for last: a line may be as long as the file. */
  #columnOf(start: number, at: number): number {
    const from = this.#last.at >= start && this.#last.at <= at ? this.#last : { at: start, column: 1 };
    const column = from.column + [...this.text.slice(from.at, at)].length;
    this.#last = { at, column };
    return column;
  }

  /** @throws KilnError INVALID_ARGUMENT here, or where it is said */
  fail(message: string, hint?: string, at = this.at): never {
    throw bakeError(message, this.position(at), hint);
  }

  /** What comes next, for a person. */
  get shown(): string {
    if (this.ended) return 'the end of the file';
    if (this.next === '\n' || this.sees('\r\n')) return 'the end of the line';
    return JSON.stringify(/^[\w-]+|^./u.exec(this.text.slice(this.at, this.at + 40))?.[0] ?? '');
  }

  /** @throws KilnError INVALID_ARGUMENT for what is nested too deeply */
  nested<T>(work: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.fail(`nested more than ${MAX_DEPTH} deep`);
    try {
      return work();
    } finally {
      this.#depth--;
    }
  }
}

function lineStarts(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

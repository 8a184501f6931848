import { invalid, onLine } from '../invalid.ts';
import { type Directive, DirectiveReader, type EscapeToken, parseEscape } from './directives.ts';
import { type Heredoc, type HeredocStart, heredocStarts } from './heredoc.ts';
import { parseJsonArray } from './json-array.ts';
import { trim, trimStart } from './space.ts';
import { splitCommand } from './split-command.ts';

/** One instruction: its lines joined, comments within taken out. */
export interface LogicalLine {
  readonly text: string;
  /** lines of the file, from 1; the end is that of the last here-document */
  readonly line: number;
  readonly endLine: number;
  readonly heredocs: readonly Heredoc[];
  /** the comment lines directly above */
  readonly comments: readonly string[];
  /** there is an empty line within the instruction, which will be an error one day: the line at which its text ends */
  readonly emptyContinuation: number | undefined;
}

export interface LexedFile {
  readonly escape: EscapeToken;
  readonly directives: readonly Directive[];
  readonly lines: readonly LogicalLine[];
}

/**
 * A Dockerfile's text as its instructions; a byte order mark and Windows line ends are taken away.
 * @throws KilnError DOCKERFILE_INVALID for directives and here-documents that do not end
 */
export function readLogicalLines(text: string): LexedFile {
  return new LineReader(text.replace(/^\uFEFF/, '')).read();
}

const isComment = (line: string): boolean => trimStart(line).startsWith('#');

class LineReader {
  readonly #raw: readonly string[];
  readonly #directives = new DirectiveReader();
  #escape: EscapeToken = '\\';
  #continuation = continuationOf('\\');
  #at = 0;

  constructor(text: string) {
    // Line ends stay: bodies of here-documents keep theirs.
    this.#raw = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  }

  read(): LexedFile {
    const lines: LogicalLine[] = [];
    let comments: string[] = [];
    while (this.#at < this.#raw.length) {
      const first = trimStart(this.#take());
      const directive = this.#directives.read(first, this.#at);
      if (directive?.name === 'escape') this.#useEscape(parseEscape(directive));
      if (first.startsWith('#')) {
        const comment = trim(first.slice(1));
        if (directive === undefined) comments = comment === '' ? [] : [...comments, comment];
        continue;
      }
      if (first === '') continue;
      lines.push(this.#instruction(first, comments));
      comments = [];
    }
    const directives = (['escape', 'syntax', 'check'] as const).flatMap((name) => this.#directives.get(name) ?? []);
    return { escape: this.#escape, directives, lines };
  }

  #useEscape(escape: EscapeToken): void {
    this.#escape = escape;
    this.#continuation = continuationOf(escape);
  }

  #take(): string {
    const line = this.#raw[this.#at] ?? '';
    this.#at += 1;
    return line.replace(/[\r\n]+$/, '');
  }

  #instruction(first: string, comments: readonly string[]): LogicalLine {
    const line = this.#at;
    let holed = false;
    let { text, ended } = this.#joined(first);
    const parts = [text];
    while (!ended && this.#at < this.#raw.length) {
      const next = this.#take();
      if (isComment(next)) continue;
      if (trimStart(next) === '') {
        holed = true;
        continue;
      }
      ({ text, ended } = this.#joined(next));
      parts.push(text);
    }
    const emptyContinuation = holed ? this.#at : undefined;
    const whole = parts.join('');
    const starts = onLine(line, () => this.#heredocsOf(whole));
    const heredocs = starts.map((start) => ({ ...start, body: this.#body(start, line) }));
    return { text: whole, line, endLine: this.#at, heredocs, comments, emptyContinuation };
  }

  #joined(line: string): { text: string; ended: boolean } {
    const text = line.replace(this.#continuation, '$1');
    return { text, ended: text.length === line.length };
  }

  #heredocsOf(text: string): readonly HeredocStart[] {
    if (!text.includes('<<')) return [];
    let { keyword, rest } = splitCommand(text, this.#escape);
    if (keyword.toLowerCase() === 'onbuild') ({ keyword, rest } = splitCommand(rest, this.#escape));
    if (!['add', 'copy', 'run'].includes(keyword.toLowerCase()) || parseJsonArray(rest) !== undefined) return [];
    return heredocStarts(text);
  }

  #body({ name, stripTabs }: HeredocStart, line: number): string {
    const body: string[] = [];
    while (this.#at < this.#raw.length) {
      const raw = this.#raw[this.#at] ?? '';
      const bare = this.#take();
      if ((stripTabs ? bare.replace(/^\t+/, '') : bare) === name) return body.join('');
      body.push(raw);
    }
    throw invalid('unterminated heredoc', { line, hint: `end it with a line that holds ${name} alone` });
  }
}

/** An escape token before the end of a line, unless another one stands before it. */
function continuationOf(escape: EscapeToken): RegExp {
  return escape === '\\' ? /(^|[^\\])\\[ \t]*$/ : /(^|[^`])`[ \t]*$/;
}

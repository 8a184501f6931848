import { Buffer } from 'node:buffer';
import { invalid, onLine, unsupported } from '../invalid.ts';
import { type Directive, DirectiveReader, type EscapeToken, parseEscape } from './directives.ts';
import { type Heredoc, type HeredocStart, heredocStarts } from './heredoc.ts';
import { parseJsonArray } from './json-array.ts';
import { isBlank, trim, trimLineEnd, trimStart } from './space.ts';
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

/** Bytes of one line of the file. The standard front end reads no longer one. */
const LINE_LIMIT_BYTES = 65_535;
/** Of one instruction. */
const HEREDOC_LIMIT = 1000;

const isComment = (line: string): boolean => trimStart(line).startsWith('#');

class LineReader {
  readonly #raw: readonly string[];
  readonly #directives = new DirectiveReader();
  #escape: EscapeToken = '\\';
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
      if (directive?.name === 'escape') this.#escape = parseEscape(directive);
      if (first.startsWith('#')) {
        const comment = trim(first.slice(1));
        if (comment === '') comments = [];
        else if (directive === undefined) comments.push(comment);
        continue;
      }
      if (first === '') continue;
      lines.push(this.#instruction(first, comments));
      comments = [];
    }
    const directives = (['escape', 'syntax', 'check'] as const).flatMap((name) => this.#directives.get(name) ?? []);
    return { escape: this.#escape, directives, lines };
  }

  #take(): string {
    const line = this.#raw[this.#at] ?? '';
    this.#at += 1;
    const bare = trimLineEnd(line);
    // No character takes more than three bytes for each of its code units.
    if (
      bare.length * 3 > LINE_LIMIT_BYTES &&
      Buffer.byteLength(line) > LINE_LIMIT_BYTES + Number(line.endsWith('\n'))
    ) {
      throw invalid(`dockerfile line greater than max allowed size of ${LINE_LIMIT_BYTES} bytes`, {
        line: this.#at,
        hint: 'break the line, or take the text from a file',
      });
    }
    return bare;
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
    if (starts.length > HEREDOC_LIMIT) {
      throw unsupported(`an instruction with ${starts.length} here-documents`, {
        line,
        hint: `at most ${HEREDOC_LIMIT} may stand`,
      });
    }
    const heredocs = starts.map((start) => ({ ...start, body: this.#body(start, line) }));
    return { text: whole, line, endLine: this.#at, heredocs, comments, emptyContinuation };
  }

  #joined(line: string): { text: string; ended: boolean } {
    const at = continuationAt(line, this.#escape);
    return at === -1 ? { text: line, ended: true } : { text: line.slice(0, at), ended: false };
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

/** Where the escape token is that continues the line: before blanks alone, and not after another one; or -1. */
function continuationAt(line: string, escape: EscapeToken): number {
  let at = line.length - 1;
  while (at >= 0 && isBlank(line.charAt(at))) at -= 1;
  return at >= 0 && line.charAt(at) === escape && line.charAt(at - 1) !== escape ? at : -1;
}

import type { Cursor } from './cursor.ts';
import type { Expression, ForExpression } from './expression.ts';
import type { Position } from '../position.ts';
import { skipSpace, takeIdentifier } from './space.ts';

/** Reads one expression where the cursor stands, with ends of lines for blanks. */
export type ReadExpression = (cursor: Cursor) => Expression;

type Piece = { readonly kind: 'text'; text: string; readonly at: Position } | Interpolation | Directive;
interface Marked {
  readonly at: Position;
  /** `~`: blanks and one end of line before, or after, are left out */
  readonly trimsBefore: boolean;
  readonly trimsAfter: boolean;
}
interface Interpolation extends Marked {
  readonly kind: 'value';
  readonly value: Expression;
}
interface Directive extends Marked {
  readonly kind: 'if' | 'else' | 'endif' | 'for' | 'endfor';
  readonly condition?: Expression;
  readonly names?: readonly string[];
}

export interface TemplateStyle {
  /** where it ends; the whole rest of the text when it is left out */
  readonly end?: '"';
  /** `\n` and the like are characters */
  readonly escapes: boolean;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' };

/** A string with `${…}` and `%{…}` in it. */
export function parseTemplate(cursor: Cursor, style: TemplateStyle, read: ReadExpression): Expression {
  const at = cursor.position();
  const pieces = trimmed(readPieces(cursor, style, read));
  const rest = pieces.toReversed();
  const parts = assemble(rest, [], cursor);
  return partsAs(parts, at);
}

function partsAs(parts: readonly Expression[], at: Position): Expression {
  const [first, second] = parts;
  if (first === undefined) return { kind: 'literal', value: '', at };
  // "${x}" is x itself, whatever its type.
  if (second === undefined && first.kind !== 'join') return first;
  return { kind: 'template', parts, at };
}

function readPieces(cursor: Cursor, { end, escapes }: TemplateStyle, read: ReadExpression): Piece[] {
  const pieces: Piece[] = [];
  const started = cursor.at;
  let text = '';
  let from = cursor.at;
  const flush = (): void => {
    if (text !== '') pieces.push({ kind: 'text', text, at: cursor.position(from) });
    text = '';
  };
  for (;;) {
    if (cursor.ended) {
      if (end !== undefined) cursor.fail('a string is not closed', 'write " where it ends', started);
      flush();
      return pieces;
    }
    if (text === '') from = cursor.at;
    if (end !== undefined && cursor.next === end) {
      flush();
      return pieces;
    }
    if (end !== undefined && cursor.next === '\n')
      cursor.fail('a string ends with its line', 'use \\n, or <<EOT for several lines');
    if (cursor.skip('$${')) text += '${';
    else if (cursor.skip('%%{')) text += '%{';
    else if (cursor.sees('${') || cursor.sees('%{')) {
      flush();
      pieces.push(cursor.next === '$' ? readInterpolation(cursor, read) : readDirective(cursor, read));
    } else if (escapes && cursor.next === '\\') text += readEscape(cursor);
    else text += cursor.text[cursor.at++] ?? '';
  }
}

function readEscape(cursor: Cursor): string {
  const code = cursor.take(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/y);
  if (code !== undefined) {
    const point = Number.parseInt(code[1] ?? code[2] ?? '', 16);
    return point > 0x10ffff ? cursor.fail('no such character') : String.fromCodePoint(point);
  }
  const known = ESCAPES[cursor.text[cursor.at + 1] ?? ''];
  if (known === undefined)
    cursor.fail(
      `\\${cursor.text[cursor.at + 1] ?? ''} means nothing`,
      'there are \\n, \\r, \\t, \\", \\\\, \\uNNNN; write \\\\ for a backslash',
    );
  cursor.at += 2;
  return known;
}

function readInterpolation(cursor: Cursor, read: ReadExpression): Interpolation {
  const at = cursor.position();
  cursor.at += 2;
  const trimsBefore = cursor.skip('~');
  const value = cursor.nested(() => read(cursor));
  return { kind: 'value', value, at, trimsBefore, trimsAfter: closeMark(cursor, at) };
}

function closeMark(cursor: Cursor, opened: Position): boolean {
  skipSpace(cursor, true);
  const trims = cursor.skip('~');
  if (!cursor.skip('}'))
    cursor.fail(`expected }, found ${cursor.shown}`, `it closes what is opened at ${opened.line}:${opened.column}`);
  return trims;
}

function readDirective(cursor: Cursor, read: ReadExpression): Directive {
  const at = cursor.position();
  cursor.at += 2;
  const trimsBefore = cursor.skip('~');
  skipSpace(cursor, true);
  const word = takeIdentifier(cursor);
  const done = <T extends object>(more: T) => ({ at, trimsBefore, trimsAfter: closeMark(cursor, at), ...more });
  switch (word) {
    case 'else':
    case 'endif':
    case 'endfor':
      return done({ kind: word });
    case 'if': {
      const condition = cursor.nested(() => read(cursor));
      return done({ kind: word, condition });
    }
    case 'for': {
      const names = readNames(cursor);
      const condition = cursor.nested(() => read(cursor));
      return done({ kind: word, names, condition });
    }
    default:
      return cursor.fail(
        `%{ ${word ?? ''} is no directive`,
        'there are if, else, endif, for and endfor; write %%{ for the characters',
      );
  }
}

/** `k, v in`, or `v in` */
export function readNames(cursor: Cursor): readonly string[] {
  const names: string[] = [];
  do {
    skipSpace(cursor, true);
    names.push(takeIdentifier(cursor) ?? cursor.fail(`expected the name of a variable, found ${cursor.shown}`));
    skipSpace(cursor, true);
  } while (names.length < 2 && cursor.skip(','));
  if (takeIdentifier(cursor) !== 'in') cursor.fail('expected "in"', 'such as: for name in list');
  return names;
}

function trimmed(pieces: readonly Piece[]): readonly Piece[] {
  for (const [index, piece] of pieces.entries()) {
    if (piece.kind === 'text') continue;
    const before = pieces[index - 1];
    const after = pieces[index + 1];
    if (piece.trimsBefore && before?.kind === 'text') before.text = withoutEnd(before.text);
    if (piece.trimsAfter && after?.kind === 'text') after.text = after.text.replace(/^[ \t]*(?:\r?\n)?/, '');
  }
  return pieces;
}

/** Without the blanks at the end, and the end of line before them; a pattern would try from each blank. */
function withoutEnd(text: string): string {
  let end = text.length;
  while (text[end - 1] === ' ' || text[end - 1] === '\t') end--;
  if (text[end - 1] === '\n') end -= text[end - 2] === '\r' ? 2 : 1;
  return text.slice(0, end);
}

/** Takes pieces, the last first, up to one of the directives that may end them, which is left. */
function assemble(pieces: Piece[], ends: readonly string[], cursor: Cursor): Expression[] {
  const parts: Expression[] = [];
  for (let piece = pieces.at(-1); piece !== undefined; piece = pieces.at(-1)) {
    if (ends.includes(piece.kind)) return parts;
    pieces.pop();
    switch (piece.kind) {
      case 'text':
        if (piece.text !== '') parts.push({ kind: 'literal', value: piece.text, at: piece.at });
        break;
      case 'value':
        parts.push(piece.value);
        break;
      case 'if':
        parts.push(cursor.nested(() => assembleIf(pieces, piece, cursor)));
        break;
      case 'for':
        parts.push(cursor.nested(() => assembleFor(pieces, piece, cursor)));
        break;
      default:
        cursor.fail(`%{ ${piece.kind} } ends nothing`);
    }
  }
  if (ends.length > 0) cursor.fail(`%{ ${ends.at(-1) ?? ''} } is missing`);
  return parts;
}

function assembleIf(pieces: Piece[], { condition, at }: Directive, cursor: Cursor): Expression {
  const yes = { kind: 'template', parts: assemble(pieces, ['else', 'endif'], cursor), at } as const;
  let no: Expression = { kind: 'literal', value: '', at };
  if (pieces.pop()?.kind === 'else') {
    no = { kind: 'template', parts: assemble(pieces, ['endif'], cursor), at };
    pieces.pop();
  }
  return { kind: 'conditional', condition: condition ?? no, yes, no, at };
}

function assembleFor(pieces: Piece[], { condition, names = [], at }: Directive, cursor: Cursor): Expression {
  const value = { kind: 'template', parts: assemble(pieces, ['endfor'], cursor), at } as const;
  pieces.pop();
  const [first = '', second] = names;
  const of: ForExpression & { readonly at: Position } = {
    kind: 'for',
    keyName: second === undefined ? undefined : first,
    valueName: second ?? first,
    of: condition ?? value,
    condition: undefined,
    key: undefined,
    value,
    grouped: false,
    at,
  };
  return { kind: 'join', of, at };
}

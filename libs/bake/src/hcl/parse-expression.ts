import type { Position } from '../position.ts';
import type { Cursor } from './cursor.ts';
import type { BinaryOperator, Expression, ObjectItem } from './expression.ts';
import { parseHeredoc } from './parse-heredoc.ts';
import { parseTemplate, readNames } from './parse-template.ts';
import { skipSpace, takeIdentifier } from './space.ts';

const LEVELS: readonly (readonly BinaryOperator[])[] = [
  ['||'],
  ['&&'],
  ['==', '!='],
  ['<=', '>=', '<', '>'],
  ['+', '-'],
  ['*', '/', '%'],
];

/**
 * One expression.
 * @param breaks whether ends of lines are blanks, as they are within brackets
 * @throws KilnError INVALID_ARGUMENT with the place
 */
export function parseExpression(cursor: Cursor, breaks: boolean): Expression {
  return cursor.nested(() => {
    skipSpace(cursor, breaks);
    const at = cursor.position();
    const condition = parseBinary(cursor, breaks, 0);
    skipSpace(cursor, breaks);
    if (!cursor.skip('?')) return condition;
    const yes = parseExpression(cursor, breaks);
    skipSpace(cursor, breaks);
    if (!cursor.skip(':'))
      cursor.fail(`expected :, found ${cursor.shown}`, 'a condition has two results: condition ? yes : no');
    return { kind: 'conditional', condition, yes, no: parseExpression(cursor, breaks), at };
  });
}

const within = (cursor: Cursor): Expression => parseExpression(cursor, true);

function parseBinary(cursor: Cursor, breaks: boolean, level: number): Expression {
  const operators = LEVELS[level];
  if (operators === undefined) return parseUnary(cursor, breaks);
  let left = parseBinary(cursor, breaks, level + 1);
  for (let many = 0; ; many++) {
    if (many > MAX_STEPS) cursor.fail(`more than ${MAX_STEPS} operators in a row`, 'put brackets around some of them');
    skipSpace(cursor, breaks);
    const at = cursor.position();
    const operator = operators.find((each) => cursor.skip(each));
    if (operator === undefined) return left;
    skipSpace(cursor, breaks);
    left = { kind: 'binary', operator, left, right: parseBinary(cursor, breaks, level + 1), at };
  }
}

function parseUnary(cursor: Cursor, breaks: boolean): Expression {
  skipSpace(cursor, breaks);
  const at = cursor.position();
  const operator = cursor.sees('!=') ? undefined : (['-', '!'] as const).find((each) => cursor.skip(each));
  if (operator === undefined) return parseTraversal(cursor, breaks);
  return { kind: 'unary', operator, operand: cursor.nested(() => parseUnary(cursor, breaks)), at };
}

function parseTraversal(cursor: Cursor, breaks: boolean): Expression {
  return parseSteps(cursor, parseTerm(cursor), breaks);
}

/** `.name`, `.0`, `[key]`, `.*` and `[*]` after a term. */
function parseSteps(cursor: Cursor, term: Expression, breaks: boolean): Expression {
  let of = term;
  for (let steps = 0; ; steps++) {
    if (steps > MAX_STEPS) cursor.fail(`nested: more than ${MAX_STEPS} names and brackets in a row`);
    const next = parseStep(cursor, of, breaks);
    if (next === undefined) return of;
    of = next;
  }
}

const MAX_STEPS = 200;

/** Undefined where none follows. */
function parseStep(cursor: Cursor, of: Expression, breaks: boolean): Expression | undefined {
  const before = cursor.at;
  skipSpace(cursor, breaks);
  const at = cursor.position();
  if (cursor.sees('.') && !cursor.sees('...')) {
    cursor.at++;
    if (cursor.skip('*')) return parseSplat(cursor, of, { at, full: false, breaks });
    const digits = cursor.take(/\d+/y)?.[0];
    if (digits !== undefined) return { kind: 'index', of, key: { kind: 'literal', value: Number(digits), at }, at };
    const name = takeIdentifier(cursor) ?? cursor.fail(`expected a name after ".", found ${cursor.shown}`);
    return { kind: 'attribute', of, name, at };
  }
  if (cursor.skip('[')) {
    if (cursor.take(/\s*\*\s*\]/y) !== undefined) return parseSplat(cursor, of, { at, full: true, breaks });
    const key = within(cursor);
    close(cursor, ']', at);
    return { kind: 'index', of, key, at };
  }
  cursor.at = before;
  return undefined;
}

interface Splat {
  readonly at: Position;
  /** `[*]`: all that follows is of each element; after `.*` only names are */
  readonly full: boolean;
  readonly breaks: boolean;
}

function parseSplat(cursor: Cursor, of: Expression, { at, full, breaks }: Splat): Expression {
  const splatItem: Expression = { kind: 'splatItem', at };
  let each: Expression = splatItem;
  if (full) each = cursor.nested(() => parseSteps(cursor, splatItem, breaks));
  else {
    for (let name = cursor.take(/\.([\p{ID_Start}_][\p{ID_Continue}-]*)/uy); name !== undefined; ) {
      each = { kind: 'attribute', of: each, name: name[1] ?? '', at };
      name = cursor.take(/\.([\p{ID_Start}_][\p{ID_Continue}-]*)/uy);
    }
  }
  return { kind: 'splat', of, each, at };
}

function parseTerm(cursor: Cursor): Expression {
  const at = cursor.position();
  if (cursor.skip('"')) {
    const template = parseTemplate(cursor, { end: '"', escapes: true }, within);
    cursor.at++;
    return { ...template, at };
  }
  if (cursor.skip('(')) {
    const inner = within(cursor);
    close(cursor, ')', at);
    return inner;
  }
  if (cursor.skip('[')) return parseTuple(cursor, at);
  if (cursor.skip('{')) return parseObject(cursor, at);
  if (cursor.sees('<<')) return parseHeredoc(cursor, within);
  const number = cursor.take(/\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y)?.[0];
  if (number !== undefined) return { kind: 'literal', value: Number(number), at };
  const name = takeIdentifier(cursor);
  if (name === undefined)
    return cursor.fail(
      cursor.next === "'" ? 'strings stand in double quotes' : `expected a value, found ${cursor.shown}`,
      cursor.next === "'" ? 'write "…"' : undefined,
    );
  if (cursor.take(/[ \t]*\(/y) !== undefined) return parseCall(cursor, name, at);
  const words: Readonly<Record<string, null | boolean>> = { true: true, false: false, null: null };
  const value = Object.hasOwn(words, name) ? words[name] : undefined;
  return value === undefined ? { kind: 'variable', name, at } : { kind: 'literal', value, at };
}

function parseCall(cursor: Cursor, name: string, at: Position): Expression {
  const args: Expression[] = [];
  let spread = false;
  for (;;) {
    skipSpace(cursor, true);
    if (cursor.skip(')')) break;
    args.push(within(cursor));
    skipSpace(cursor, true);
    spread = cursor.skip('...');
    skipSpace(cursor, true);
    if (!spread && cursor.skip(',')) continue;
    close(cursor, ')', at);
    break;
  }
  return { kind: 'call', name, args, spread, at };
}

function parseTuple(cursor: Cursor, at: Position): Expression {
  if (seesFor(cursor)) return parseFor(cursor, at, ']');
  const items: Expression[] = [];
  for (;;) {
    skipSpace(cursor, true);
    if (cursor.skip(']')) return { kind: 'tuple', items, at };
    items.push(within(cursor));
    skipSpace(cursor, true);
    if (cursor.skip(',')) continue;
    close(cursor, ']', at, 'a comma stands between the elements of a list');
    return { kind: 'tuple', items, at };
  }
}

function parseObject(cursor: Cursor, at: Position): Expression {
  if (seesFor(cursor)) return parseFor(cursor, at, '}');
  const items: ObjectItem[] = [];
  for (;;) {
    skipSpace(cursor, true);
    if (cursor.skip('}')) return { kind: 'object', items, at };
    const key = parseKey(cursor);
    skipSpace(cursor, false);
    if (cursor.sees('==') || (!cursor.skip('=') && !cursor.skip(':')))
      cursor.fail(`expected = after a key, found ${cursor.shown}`, 'such as { key = "value" }');
    skipSpace(cursor, false);
    items.push({ key, value: parseExpression(cursor, false) });
    skipSpace(cursor, false);
    if (cursor.skip(',') || cursor.take(/\r?\n/y) !== undefined) continue;
    close(cursor, '}', at, 'a comma or an end of line stands between the items of an object');
    return { kind: 'object', items, at };
  }
}

/** A lone word is a key of that name; in brackets it is a variable. */
function parseKey(cursor: Cursor): Expression {
  const at = cursor.position();
  const started = cursor.at;
  const name = takeIdentifier(cursor);
  if (name !== undefined) {
    skipSpace(cursor, false);
    if ((cursor.next === '=' && !cursor.sees('==')) || cursor.next === ':') return { kind: 'literal', value: name, at };
    cursor.at = started;
  }
  return parseExpression(cursor, false);
}

const seesFor = (cursor: Cursor): boolean => {
  skipSpace(cursor, true);
  return /^for[\s/#]/.test(cursor.text.slice(cursor.at, cursor.at + 4));
};

function parseFor(cursor: Cursor, at: Position, end: ']' | '}'): Expression {
  cursor.at += 'for'.length;
  const [first = '', second] = readNames(cursor);
  const of = within(cursor);
  skipSpace(cursor, true);
  if (!cursor.skip(':')) cursor.fail(`expected :, found ${cursor.shown}`, 'such as [for name in list : upper(name)]');
  let value = within(cursor);
  let key: Expression | undefined;
  skipSpace(cursor, true);
  if (end === '}') {
    key = value;
    if (!cursor.skip('=>')) cursor.fail(`expected =>, found ${cursor.shown}`, 'such as {for k, v in map : k => v}');
    value = within(cursor);
    skipSpace(cursor, true);
  }
  const grouped = end === '}' && cursor.skip('...');
  skipSpace(cursor, true);
  const condition = /^if\b/.test(cursor.text.slice(cursor.at, cursor.at + 3))
    ? ((cursor.at += 2), within(cursor))
    : undefined;
  close(cursor, end, at);
  const names = { keyName: second === undefined ? undefined : first, valueName: second ?? first };
  return { kind: 'for', ...names, of, condition, key, value, grouped, at };
}

function close(cursor: Cursor, bracket: string, opened: Position, hint?: string): void {
  skipSpace(cursor, true);
  if (cursor.skip(bracket)) return;
  const what = `it closes what is opened at ${opened.line}:${opened.column}`;
  cursor.fail(`expected ${bracket}, found ${cursor.shown}`, hint === undefined ? what : `${hint}; ${what}`);
}

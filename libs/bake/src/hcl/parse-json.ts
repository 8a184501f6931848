import { Cursor } from './cursor.ts';
import type { Expression, ObjectItem } from './expression.ts';
import { parseExpression } from './parse-expression.ts';
import { parseTemplate } from './parse-template.ts';

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\r\n]*/y;

/** JSON as HCL reads it: strings are templates. @throws KilnError INVALID_ARGUMENT with the place */
export function parseJsonExpression(text: string, file: string): Expression {
  const cursor = new Cursor(text.replace(/^\uFEFF/, ''), { file, line: 1, column: 1 });
  const value = parseValue(cursor);
  cursor.take(SPACE);
  if (!cursor.ended) cursor.fail(`expected the end of the file, found ${cursor.shown}`);
  return value;
}

function parseValue(cursor: Cursor): Expression {
  cursor.take(SPACE);
  const at = cursor.position();
  if (cursor.skip('{')) return { kind: 'object', items: cursor.nested(() => parseMembers(cursor)), at };
  if (cursor.skip('['))
    return {
      kind: 'tuple',
      items: cursor.nested(() => separated(cursor, ']', () => parseValue(cursor))),
      at,
    };
  if (cursor.next === '"') return templateOf(takeString(cursor), cursor, at);
  const number = cursor.take(NUMBER)?.[0];
  if (number !== undefined) return { kind: 'literal', value: Number(number), at };
  if (cursor.skip('true')) return { kind: 'literal', value: true, at };
  if (cursor.skip('false')) return { kind: 'literal', value: false, at };
  if (cursor.skip('null')) return { kind: 'literal', value: null, at };
  return cursor.fail(`expected a value, found ${cursor.shown}`);
}

function templateOf(text: string, cursor: Cursor, at: Expression['at']): Expression {
  if (!/[$%]\{/.test(text)) return { kind: 'literal', value: text, at };
  const inner = new Cursor(text, { ...at, column: at.column + 1 });
  return { ...parseTemplate(inner, { escapes: false }, (each) => parseExpression(each, true)), at };
}

function parseMembers(cursor: Cursor): readonly ObjectItem[] {
  return separated(cursor, '}', () => {
    cursor.take(SPACE);
    const at = cursor.position();
    if (cursor.next !== '"') cursor.fail(`expected a name in double quotes, found ${cursor.shown}`);
    const key = templateOf(takeString(cursor), cursor, at);
    cursor.take(SPACE);
    if (!cursor.skip(':')) cursor.fail(`expected :, found ${cursor.shown}`);
    return { key, value: parseValue(cursor) };
  });
}

function separated<T>(cursor: Cursor, end: string, read: () => T): readonly T[] {
  const items: T[] = [];
  cursor.take(SPACE);
  if (cursor.skip(end)) return items;
  for (;;) {
    items.push(read());
    cursor.take(SPACE);
    if (cursor.skip(end)) return items;
    if (!cursor.skip(',')) cursor.fail(`expected , or ${end}, found ${cursor.shown}`);
    cursor.take(SPACE);
    if (cursor.sees(end)) cursor.fail(`expected a value, found ${cursor.shown}`, 'JSON has no comma at the end');
  }
}

function takeString(cursor: Cursor): string {
  const started = cursor.at;
  const quoted = cursor.text.slice(started, endOfString(cursor));
  cursor.at += quoted.length;
  try {
    const text: unknown = JSON.parse(quoted);
    return typeof text === 'string' ? text : '';
  } catch {
    return cursor.fail('a string that JSON does not allow', undefined, started);
  }
}

/** Behind the closing quote. A pattern would run out of stack in a string of some megabytes. */
function endOfString(cursor: Cursor): number {
  const { text } = cursor;
  for (let at = cursor.at + 1; at < text.length; at++) {
    const character = text[at];
    if (character === '"') return at + 1;
    if (character === '\n') break;
    if (character === '\\') at++;
  }
  return cursor.fail('a string is not closed');
}

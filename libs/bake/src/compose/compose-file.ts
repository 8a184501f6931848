import { isKilnError } from '#std';
import { type Alias, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { bakeError, type Position } from '../position.ts';
import { interpolate, type Lookup } from './interpolate.ts';

/** A value of a compose file, and where it stands. */
export interface Located {
  readonly at: Position;
  readonly value: string | number | boolean | null | readonly Located[] | ReadonlyMap<string, Located>;
}

/** Aliases may make a small file large. */
const MAX_VALUES = 200_000;

/** Reads a YAML file; variables are put in. @throws KilnError INVALID_ARGUMENT with the place */
export function parseComposeFile(text: string, file: string, lookup: Lookup): Located {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false });
  const place = (offset: number | undefined): Position => {
    const { line, col } = lines.linePos(offset ?? 0);
    return { file, line, column: col };
  };
  const [error] = document.errors;
  if (error !== undefined) throw bakeError(error.message, place(error.pos[0]));
  let left = MAX_VALUES;
  const anchors = new Map<string, Exclude<Node, Alias>>();
  const open = new Set<unknown>();
  const read = (node: unknown, before: Position): Located => {
    if (--left < 0) throw bakeError(`a file of more than ${MAX_VALUES} values`, before);
    const found = isAlias(node) ? anchors.get(node.source) : isNode(node) ? node : undefined;
    if (found?.anchor !== undefined) anchors.set(found.anchor, found);
    const at = found?.range == null ? before : place(found.range[0]);
    if (found !== undefined && open.has(found)) throw bakeError('an alias stands in what it is an alias of', before);
    open.add(found);
    try {
      return inside(found, at);
    } finally {
      open.delete(found);
    }
  };
  const inside = (found: Node | undefined, at: Position): Located => {
    if (isMap(found)) return { at, value: mapOf(found.items, at, read) };
    if (isSeq(found)) return { at, value: found.items.map((item) => read(item, at)) };
    const value: unknown = isScalar(found) ? found.value : null;
    return { at, value: typeof value === 'string' ? placedText(value, lookup, at) : scalarOf(value) };
  };
  return read(document.contents, place(0));
}

type Read = (node: unknown, before: Position) => Located;

function mapOf(
  items: readonly { readonly key: unknown; readonly value: unknown }[],
  at: Position,
  read: Read,
): ReadonlyMap<string, Located> {
  const merged = new Map<string, Located>();
  const own = new Map<string, Located>();
  for (const { key, value } of items) {
    const name = isScalar(key) ? String(key.value) : '';
    if (name !== '<<' && !(isScalar(key) && typeof key.value === 'symbol')) own.set(name, read(value, at));
    else {
      const bases = read(value, at);
      const maps = Array.isArray(bases.value) ? (bases.value as readonly Located[]) : [bases];
      for (const base of maps)
        if (base.value instanceof Map)
          for (const [each, found] of base.value as ReadonlyMap<string, Located>)
            if (!merged.has(each)) merged.set(each, found);
    }
  }
  return new Map([...merged, ...own]);
}

function scalarOf(value: unknown): string | number | boolean | null {
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  return typeof value === 'bigint' ? value.toString() : null;
}

function placedText(text: string, lookup: Lookup, at: Position): string {
  try {
    return interpolate(text, lookup);
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    throw bakeError(thrown.message, at, thrown.hint);
  }
}

const isList = (value: Located['value']): value is readonly Located[] => Array.isArray(value);
const isObject = (value: Located['value']): value is ReadonlyMap<string, Located> => value instanceof Map;

/** Nothing where nothing is said. */
export function objectOf(located: Located | undefined, what: string): ReadonlyMap<string, Located> {
  if (located === undefined || located.value === null) return new Map();
  if (isObject(located.value)) return located.value;
  throw bakeError(`${what} is no mapping`, located.at, `write ${what}: and below it name: value`);
}

export function textOf(located: Located | undefined, what: string): string | undefined {
  if (located === undefined || located.value === null) return undefined;
  if (typeof located.value === 'object') throw bakeError(`${what} is no text`, located.at);
  return String(located.value);
}

/** A list of texts; one text alone is a list where `words` says so. */
export function textsOf(located: Located | undefined, what: string, words = false): readonly string[] | undefined {
  if (located === undefined || located.value === null) return undefined;
  if (words && !isList(located.value)) return (textOf(located, what) ?? '').split(/\s+/).filter((word) => word !== '');
  if (!isList(located.value)) throw bakeError(`${what} is no list`, located.at, `write ${what}: and below it - value`);
  return located.value.map((item) => textOf(item, what) ?? '');
}

/** A mapping, or a list of `name=value`; null for a name without a value. */
export function pairsOf(
  located: Located | undefined,
  what: string,
  separator = /=/,
): ReadonlyMap<string, string | null> {
  if (located === undefined || located.value === null) return new Map();
  if (isObject(located.value))
    return new Map([...located.value].map(([name, value]) => [name, textOf(value, `${what}.${name}`) ?? null]));
  return new Map(
    (textsOf(located, what) ?? []).map((text): [string, string | null] => {
      const at = separator.exec(text)?.index;
      return at === undefined ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

export function switchOf(located: Located | undefined, what: string): boolean | undefined {
  const text = textOf(located, what);
  if (text === undefined) return undefined;
  if (['true', 'false'].includes(text)) return text === 'true';
  throw bakeError(`${what} is true or false`, located?.at);
}

export { isList, isObject };

import { MAX_DEPTH, tooMuch } from '../hcl/size.ts';
import { elementsOf, entriesOf, type Value } from '../hcl/value.ts';

/** `jsonencode()`: compact, keys in order, with Go's escapes for what HTML reads otherwise. */
export function jsonText(value: Value): string {
  return escapeHtml(JSON.stringify(plain(value)));
}

/** As Go's encoder writes it. */
export function escapeHtml(json: string): string {
  return json.replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The value without anything that JSON does not know. */
export function plain(value: Value): unknown {
  const elements = elementsOf(value);
  if (elements !== undefined) return elements.map(plain);
  const entries = entriesOf(value);
  return entries === undefined ? value : Object.fromEntries(entries.map(([key, each]) => [key, plain(each)]));
}

/** What JSON.parse gave. @throws KilnError INVALID_ARGUMENT for what is nested too deeply */
export function valueOf(parsed: unknown): Value {
  return valueWithin(parsed, 0);
}

function valueWithin(parsed: unknown, depth: number): Value {
  if (depth > MAX_DEPTH) throw tooMuch(`a value nested more than ${MAX_DEPTH} deep`);
  if (parsed === null || typeof parsed === 'string' || typeof parsed === 'boolean') return parsed;
  if (typeof parsed === 'number') {
    if (Number.isFinite(parsed)) return parsed;
    throw new TypeError('a number is too large');
  }
  if (Array.isArray(parsed)) return parsed.map((each) => valueWithin(each, depth + 1));
  if (typeof parsed !== 'object') throw new TypeError(`${typeof parsed} is no value`);
  return new Map(Object.entries(parsed).map(([key, each]) => [key, valueWithin(each, depth + 1)]));
}

import { elementsOf, entriesOf, typeName, type Value, type ValueMap } from './value.ts';

/** What a value is as text. @throws Error for what is no text, such as a list */
export function toText(value: Value): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return numberText(value);
  throw new TypeError(`expected a string, found ${typeName(value)}`);
}

function numberText(value: number): string {
  const text = String(value);
  if (!/e/i.test(text)) return text;
  return Number.isInteger(value) ? BigInt(value).toString() : value.toFixed(20).replace(/0+$/, '');
}

export function toNumber(value: Value): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'string' && /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(value.trim())) {
    const number = Number(value);
    if (Number.isFinite(number)) return number;
  }
  throw new TypeError(
    `expected a number, found ${typeof value === 'string' ? JSON.stringify(value) : typeName(value)}`,
  );
}

export function toBoolean(value: Value): boolean {
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  const shown = typeof value === 'string' ? JSON.stringify(value) : typeName(value);
  throw new TypeError(`expected true or false, found ${shown}`);
}

export function toList(value: Value): readonly Value[] {
  const elements = elementsOf(value);
  if (elements === undefined) throw new TypeError(`expected a list, found ${typeName(value)}`);
  return elements;
}

export function toMap(value: Value): ValueMap {
  const entries = entriesOf(value);
  if (entries === undefined) throw new TypeError(`expected an object, found ${typeName(value)}`);
  return new Map(entries);
}

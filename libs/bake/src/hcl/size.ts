import { KilnError } from '#std';
import { isLazy, isList, isMap, isSet, type Value } from './value.ts';

/** Characters and elements in one value, with all that is in it: lists of lists count each time that they are there. */
export const MAX_SIZE = 16 * 1024 * 1024;

/** Of lists in lists. */
export const MAX_DEPTH = 200;

interface Measure {
  readonly size: number;
  readonly depth: number;
}

const flat: Measure = { size: 1, depth: 0 };
const known = new WeakMap<object, Measure>();

/** How large a value is, each of its parts measured once. @throws KilnError INVALID_ARGUMENT for what is too large or too deep */
export function sizeOf(value: Value): number {
  return measure(value).size;
}

function measure(value: Value): Measure {
  if (typeof value === 'string') return { size: checked(value.length + 1), depth: 0 };
  if (value === null || typeof value !== 'object' || isLazy(value)) return flat;
  const before = known.get(value);
  if (before !== undefined) return before;
  let size = 1;
  let depth = 0;
  const add = (each: Value): void => {
    const inner = measure(each);
    size = checked(size + inner.size);
    depth = Math.max(depth, inner.depth + 1);
    if (depth > MAX_DEPTH) throw tooMuch(`a value nested more than ${MAX_DEPTH} deep`);
  };
  if (isList(value)) value.forEach(add);
  else if (isSet(value)) value.elements.forEach(add);
  else if (isMap(value))
    for (const [key, each] of value) {
      size += key.length;
      add(each);
    }
  const found = { size, depth };
  known.set(value, found);
  return found;
}

/** @throws KilnError INVALID_ARGUMENT for a text or a list that would be too large, before it is made */
export function checked(size: number): number {
  if (size > MAX_SIZE) throw tooMuch(`a value of more than ${MAX_SIZE} characters and elements`);
  return size;
}

export const tooMuch = (what: string): KilnError =>
  new KilnError('INVALID_ARGUMENT', `the bake file asks for too much: ${what}`, {
    hint: 'look for lists and strings that double, and for loops in loops',
  });

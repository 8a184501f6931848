import { KilnError } from './errors.ts';
import { nearest } from './nearest.ts';

/** As Go reads it; undefined for what is neither. */
export function readBoolean(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (['true', '1', 't'].includes(word)) return true;
  return ['false', '0', 'f'].includes(word) ? false : undefined;
}

/** The `key=value` pairs of one value, each taken once; what is left over in the end is refused by name. */
export class Attributes {
  readonly #label: string;
  readonly #values = new Map<string, string>();
  readonly #known: string[] = [];

  /**
   * @param label as errors name the value: a flag, a parameter
   * @throws KilnError INVALID_ARGUMENT, here and below
   */
  constructor(label: string, fields: readonly string[]) {
    this.#label = label;
    for (const field of fields) {
      const equals = field.indexOf('=');
      if (equals < 1) throw this.wrong(`not key=value: ${JSON.stringify(field)}`);
      const key = field.slice(0, equals).trim();
      this.#values.set(key.startsWith('annotation') ? key : key.toLowerCase(), field.slice(equals + 1));
    }
  }

  take(key: string): string | undefined {
    this.#known.push(key);
    const found = this.#values.get(key);
    this.#values.delete(key);
    return found;
  }

  takeBoolean(key: string): boolean | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    const read = value === '' ? true : readBoolean(value);
    if (read === undefined) throw this.wrong(`${key}=${value} is neither true nor false`);
    return read;
  }

  /** All whose key the pattern takes. */
  takeAll(pattern: RegExp): [RegExpExecArray, string][] {
    return [...this.#values].flatMap(([key, value]): [RegExpExecArray, string][] => {
      const match = pattern.exec(key);
      if (match === null) return [];
      this.#values.delete(key);
      return [[match, value]];
    });
  }

  finish(): void {
    const [unknown] = this.#values.keys();
    if (unknown === undefined) return;
    const meant = nearest(unknown, this.#known);
    throw new KilnError(
      'INVALID_ARGUMENT',
      `${this.#label} has no attribute ${unknown}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      { field: this.#label, hint: `there are: ${this.#known.toSorted().join(', ')}` },
    );
  }

  wrong(message: string, hint?: string): KilnError {
    return new KilnError('INVALID_ARGUMENT', `${this.#label}: ${message}`, { field: this.#label, hint });
  }
}

import { splitVariable } from './environment.ts';

/**
 * Env of an image's config. What a base brings stays as it is, words without `=` and names that come twice included; an
 * ENV replaces the first entry of its name, in place.
 */
export class ConfigEnvironment {
  readonly #entries: string[];
  readonly #firstOf = new Map<string, number>();

  constructor(entries: readonly string[]) {
    this.#entries = [...entries];
    for (const [index, entry] of entries.entries()) {
      const [name] = splitVariable(entry);
      if (!this.#firstOf.has(name)) this.#firstOf.set(name, index);
    }
  }

  has(name: string): boolean {
    return this.#firstOf.has(name);
  }

  set(name: string, value: string): void {
    const index = this.#firstOf.get(name) ?? this.#entries.length;
    this.#firstOf.set(name, index);
    this.#entries[index] = `${name}=${value}`;
  }

  toArray(): string[] {
    return [...this.#entries];
  }
}

import { invalid } from '../invalid.ts';
import type { Variables } from '../expand/expand-word.ts';
import { WorkMeter } from '../work-meter.ts';

/** All names and values together; the kernel would not start a process with more. */
const SIZE_LIMIT = 1024 * 1024;

/** What RUN sees and `$name` means: in the order in which names were last set, as BuildKit hands them to a process. */
export class Environment implements Variables {
  readonly #values: Map<string, string>;
  readonly meter: WorkMeter;
  #size = 0;

  /** @param meter of the whole Dockerfile */
  constructor(other?: Environment, meter = other?.meter ?? new WorkMeter()) {
    this.meter = meter;
    meter.copy(other === undefined ? 0 : other.#values.size);
    this.#values = new Map(other === undefined ? [] : other.#values);
    this.#size = other === undefined ? 0 : other.#size;
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** @throws KilnError DOCKERFILE_INVALID when it becomes too large for any process */
  set(name: string, value: string): void {
    const old = this.#values.get(name);
    this.#size += name.length + value.length - (old === undefined ? 0 : name.length + old.length);
    if (this.#size > SIZE_LIMIT)
      throw invalid(`the environment is larger than ${SIZE_LIMIT} characters`, {
        hint: 'no process starts with so much: put long values in files',
      });
    this.#values.delete(name);
    this.#values.set(name, value);
  }

  delete(name: string): void {
    const old = this.#values.get(name);
    if (old === undefined) return;
    this.#size -= name.length + old.length;
    this.#values.delete(name);
  }

  names(): readonly string[] {
    return [...this.#values.keys()];
  }

  /** `NAME=value` */
  toArray(): readonly string[] {
    this.meter.copy(this.#values.size);
    this.meter.spend(this.#size);
    return [...this.#values].map(([name, value]) => `${name}=${value}`);
  }
}

/** Name and value of `NAME=value`. */
export function splitVariable(text: string): readonly [string, string] {
  const equals = text.indexOf('=');
  return equals === -1 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}

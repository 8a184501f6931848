import { KilnError } from '#std';
import { sizeOf, tooMuch } from './size.ts';
import type { Value } from './value.ts';

/** Throws errors without a place, which the call adds. */
export type HclFunction = (args: readonly Value[]) => Value;

/** What names mean. */
export interface Scope {
  /** undefined for a name that nothing has */
  variable(name: string): Value | undefined;
  function(name: string): HclFunction | undefined;
  readonly names: { readonly variables: () => readonly string[]; readonly functions: () => readonly string[] };
  /** counts the work */
  readonly budget: Budget;
}

/** What the evaluation of all files may take together: far beyond what anybody writes. */
const MAX_WORK = 64 * 1024 * 1024;
/** What an expression costs; a character or an element that is read or made costs 1. */
const STEP = 32;
const MAX_DEPTH = 500;

/** What a file may make its reader do. */
export class Budget {
  #left = MAX_WORK;
  #depth = 0;

  /** One expression. */
  step(): void {
    this.spend(STEP);
  }

  /** @throws KilnError INVALID_ARGUMENT when nothing is left, and each time from then on: `try()` goes no further */
  spend(work: number): void {
    this.#left -= work;
    if (this.#left < 0) throw tooMuch('it takes too long to evaluate');
  }

  /** What was made is paid for by its size. @throws KilnError INVALID_ARGUMENT for what is too large */
  made<T extends Value>(value: T): T {
    this.spend(sizeOf(value));
    return value;
  }

  nested<T>(work: () => T): T {
    if (++this.#depth > MAX_DEPTH) {
      this.#depth--;
      throw new KilnError('INVALID_ARGUMENT', `nested more than ${MAX_DEPTH} deep, or it refers to itself`);
    }
    try {
      return work();
    } finally {
      this.#depth--;
    }
  }
}

/** The same scope with more variables. */
export function withVariables(scope: Scope, variables: ReadonlyMap<string, Value>): Scope {
  return {
    ...scope,
    variable: (name) => (variables.has(name) ? variables.get(name) : scope.variable(name)),
    function: (name) => scope.function(name),
    names: { ...scope.names, variables: () => [...variables.keys(), ...scope.names.variables()] },
  };
}

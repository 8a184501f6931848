import { invalid } from './invalid.ts';

/** Steps of one Dockerfile: about a second, and hundreds of times what long Dockerfiles take. */
const STEP_LIMIT = 100_000_000;
/** Steps that copying one entry of an environment, of labels or of a history counts as. */
const ENTRY_STEPS = 64;

/**
 * What it costs to work out one Dockerfile: characters of values that are looked at, entries that are copied. A few
 * lines can ask for more of it than any computer has, in ways that no bound on a single value sees.
 */
export class WorkMeter {
  #steps = 0;

  get steps(): number {
    return this.#steps;
  }

  /** @throws KilnError DOCKERFILE_INVALID when it becomes too much */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps <= STEP_LIMIT) return;
    throw invalid(`working this Dockerfile out takes more than ${STEP_LIMIT} steps`, {
      hint: 'long values, patterns, and very many variables or labels multiply each other: use fewer of them',
    });
  }

  /** @throws KilnError DOCKERFILE_INVALID when it becomes too much */
  copy(entries: number): void {
    this.spend(entries * ENTRY_STEPS);
  }
}

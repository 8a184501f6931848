import fc from 'fast-check';

/** Numbers of one instruction, from which it is chosen; all of them may be asked for again and again. */
export class Choices {
  #at = 0;

  constructor(readonly numbers: readonly number[]) {}

  below(limit: number): number {
    const number = this.numbers[this.#at % this.numbers.length] ?? 0;
    this.#at++;
    return number % limit;
  }

  of<T>(all: readonly T[]): T {
    const chosen = all[this.below(all.length)];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }

  /** True in one of so many. */
  once(inSoMany: number): boolean {
    return this.below(inSoMany) === 0;
  }
}

/** Of one program: numbers for each of its instructions. */
export const programChoices: fc.Arbitrary<readonly (readonly number[])[]> = fc.array(
  fc.array(fc.nat({ max: 1_000_000 }), { minLength: 12, maxLength: 12 }),
  { minLength: 8, maxLength: 24 },
);

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CaseFarm, startCaseFarm } from '../conformance/case-farm.ts';
import { programChoices } from '../differential/choices.ts';
import { imageOf } from '../differential/differences.ts';
import { same, treeDifferences } from '../golden/expected.ts';
import { editedProgram } from './edits.ts';

const long = process.env['KILN_TEST_LENGTH'] === 'long';
const RUNS = Number(process.env['KILN_METAMORPHIC_RUNS'] ?? (long ? 200 : 6));
/** Another one for each long run; what it found is found again with the seed that the suite's name tells. */
const SEED = Number(process.env['KILN_METAMORPHIC_SEED'] ?? (long ? Date.now() % 1_000_000 : 4321));

let held: CaseFarm;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  held = stack.use(await startCaseFarm());
});
afterAll(() => stack.disposeAsync());

const edit = fc.array(fc.nat({ max: 1_000_000 }), { minLength: 8, maxLength: 8 });
const samples = fc.sample(fc.tuple(programChoices, edit), { seed: SEED, numRuns: RUNS });

describe.concurrent(`after an edit, the cache gives what a build without it gives, seed ${SEED}`, () => {
  it.each(samples.map(([numbers, chosen], index) => ({ numbers, chosen, index })))(
    'program $index',
    async ({ numbers, chosen }) => {
      const { before, after, edit: what } = await editedProgram(numbers, chosen);
      const about = `seed ${SEED}\n${what}\n${before.dockerfile}\nbecame\n${after.dockerfile}`;
      await imageOf(before, held);
      const cached = await imageOf(after, held);
      const uncached = await imageOf({ ...after, args: [...after.args, '--no-cache'] }, held);
      if (typeof cached === 'string' || typeof uncached === 'string') {
        // An edit may make a program that cannot be built: then it cannot with the cache either.
        return expect([typeof cached, typeof uncached], `${about}\n${JSON.stringify([cached, uncached])}`).toEqual([
          'string',
          'string',
        ]);
      }
      expect(treeDifferences(uncached.tree, cached.tree), about).toEqual([]);
      expect(same(uncached.config, cached.config), about).toBe(true);
      expect(same(uncached.history, cached.history), about).toBe(true);
    },
  );
});

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CaseFarm, startCaseFarm } from '../conformance/case-farm.ts';
import { type OtherBuilder, startBuildah } from '../golden/other-builders.ts';
import { programChoices } from './choices.ts';
import { differencesOf } from './differences.ts';
import { programOf } from './program.ts';

const long = process.env['KILN_TEST_LENGTH'] === 'long';
const PROGRAMS = Number(process.env['KILN_DIFFERENTIAL_RUNS'] ?? (long ? 400 : 8));
/** Another one for each long run; what it found is found again with the seed that the suite's name tells. */
const SEED = Number(process.env['KILN_DIFFERENTIAL_SEED'] ?? (long ? Date.now() % 1_000_000 : 1234));

let held: CaseFarm;
let buildah: OtherBuilder;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  held = stack.use(await startCaseFarm());
  buildah = stack.use(await startBuildah(held.registry));
});
afterAll(() => stack.disposeAsync());

const programs = fc.sample(programChoices, { seed: SEED, numRuns: PROGRAMS });

describe.concurrent(`builds what buildah builds, seed ${SEED}`, () => {
  it.each(programs.map((choices, index) => ({ choices, index })))('program $index', async ({ choices }) => {
    const program = await programOf(choices);
    const differences = await differencesOf(program, held, buildah);
    expect(differences, `seed ${SEED}\n${program.dockerfile}`).toEqual([]);
  });
});

import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CaseFarm, startCaseFarm } from '../conformance/case-farm.ts';
import { type GoldenCase, goldenCases, prepareCase, readCase } from '../golden/golden-case.ts';
import { buildWithKiln } from '../golden/kiln-builder.ts';
import { readArchive } from '../golden/oci-archive.ts';

const long = process.env['KILN_TEST_LENGTH'] === 'long';
const EPOCH = '1700000000';
/** Every one at length; else these, of each kind of step and source. */
const SAMPLE = [
  ...['add-archive-xattrs', 'copy-hardlinks', 'copy-modes', 'copy-link', 'copy-parents', 'heredoc-copy-owner-mode'],
  ...['onbuild-fires', 'run-create-modify-delete', 'run-mount-bind-from-stage', 'run-special-files', 'stage-diamond'],
  ...['workdir-made'],
];

/** What has no image, or whose image is allowed to differ from run to run, or from farm to farm. */
const isFixed = ({ fails, ignore, args }: GoldenCase): boolean =>
  fails === undefined && Object.keys(ignore).length === 0 && !args.some((arg) => arg.includes('{files}'));

const all = await Promise.all(goldenCases().map(async (name) => ({ name, golden: await readCase(name) })));
const cases = all.filter(({ name, golden }) => isFixed(golden) && (long || SAMPLE.includes(name)));

let first: CaseFarm;
let second: CaseFarm;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  [first, second] = await Promise.all([startCaseFarm(), startCaseFarm()]);
  stack.use(first);
  stack.use(second);
});
afterAll(() => stack.disposeAsync());

/** Builds a fresh copy of a case. @returns the digest of the image's manifest */
async function digestOf(name: string, golden: GoldenCase, { farm, files }: CaseFarm, ...flags: string[]) {
  const dir = await mkdtemp(join(farm.dir, 'same-'));
  try {
    await prepareCase(name, golden, dir);
    const args = [...golden.args, '--build-arg', `SOURCE_DATE_EPOCH=${EPOCH}`, ...flags];
    const fixed = { ...golden, args, output: ['rewrite-timestamp=true'] };
    const { code, said, archive } = await buildWithKiln(farm, fixed, dir, files);
    if (code !== 0) throw new Error(said);
    return (await readArchive(archive, golden.platform)).digest;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

describe.concurrent('the same image, bit for bit', () => {
  it.each(cases)('$name: built, from the cache, without it, and on a farm of its own', async ({ name, golden }) => {
    const built = await digestOf(name, golden, first);
    const others = {
      cached: await digestOf(name, golden, first),
      uncached: await digestOf(name, golden, first, '--no-cache'),
      elsewhere: await digestOf(name, golden, second),
    };
    expect(others).toEqual({ cached: built, uncached: built, elsewhere: built });
  });
});

it('has every case of the sample', () => {
  expect(cases.map(({ name }) => name)).toEqual(expect.arrayContaining(SAMPLE));
});

import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '#std';
import { Collector, Fsck } from '#storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { write } from './context.ts';
import { Farm } from './farm.ts';
import { see, textIn } from './image.ts';

const long = process.env['KILN_TEST_LENGTH'] === 'long';
const LOAD_MS = long ? 600_000 : 60_000;
const SEED = Number(process.env['KILN_COLLECTION_SEED'] ?? (long ? Date.now() % 1_000_000 : 4321));
const MIB = 1024 * 1024;

let farm: Farm;
beforeAll(async () => {
  // Nothing stays unpacked on the node: every build that stands on a hit reads its layers.
  farm = await Farm.start({ builder: { KILN_BUILDER_DISK_MIB: '0' } });
});
afterAll(() => farm[Symbol.asyncDispose]());

async function project(files: Readonly<Record<string, string>>): Promise<string> {
  const dir = await farm.folder();
  await write(dir, files);
  return dir;
}

/** Numbers that look like chance and come again with their seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Program {
  readonly files: Readonly<Record<string, string>>;
  /** what the image must hold, by path */
  readonly expected: Readonly<Record<string, string>>;
}

/** About a megabyte of layers that compress badly enough, from a few choices each: some steps hit, some have to run. */
function program(draw: (below: number) => number): Program {
  const [first, second, file] = [draw(3), draw(4), draw(5)];
  return {
    files: {
      Dockerfile: `FROM box:1 AS first
RUN seq ${first} 60000 | sha256sum > /first && seq ${first} 40000 > /numbers
FROM first AS second
RUN seq ${second} 30000 > /more && cat /first > /second && echo ${second} >> /second
FROM box:1
COPY --from=second /first /second /
COPY file /
RUN cat /second /file > /all
`,
      file: `file ${file}\n`,
    },
    expected: { file: `file ${file}\n`, all: `${second}\nfile ${file}\n` },
  };
}

describe('collection under load', () => {
  it(`breaks no build and no image, seed ${SEED}`, { timeout: LOAD_MS + 300_000 }, async () => {
    await farm.startBuilder('two', { KILN_BUILDER_DISK_MIB: '1' });
    const limits = {
      graceMs: 0,
      retentionMs: 3_600_000,
      imageRetentionMs: 3_600_000,
      projectBytes: MIB / 4,
      totalBytes: MIB / 4,
    };
    const collector = new Collector({ db: farm.db, content: farm.content, limits });
    const over = new AbortController();
    const collected = { evicted: 0, removed: 0 };
    const collecting = (async () => {
      while (!over.signal.aborted) {
        await farm.db.execute('UPDATE blobs SET check_at = now() WHERE check_at > now()');
        const { evicted, removed } = await collector.collect();
        collected.evicted += evicted;
        collected.removed += removed;
        await delay(20);
      }
    })();
    // Beside both a check that would mend: what is under way is nothing wrong.
    const wrong: string[] = [];
    const checking = (async () => {
      const { db, content } = farm;
      const how = { graceMs: 1_800_000, deep: true, repair: true, clock: systemClock };
      while (!over.signal.aborted) {
        for await (const { message } of new Fsck({ db, content, looked: content, ...how }).run()) wrong.push(message);
        await delay(200);
      }
    })();
    const steps = { hit: 0, run: 0 };
    const firsts = new Map<string, string>();
    const untilMs = Date.now() + LOAD_MS;
    const work = async (worker: number): Promise<void> => {
      const draw = numbers(SEED + worker);
      while (Date.now() < untilMs) {
        const { files, expected } = program(draw);
        const dir = await project(files);
        const out = join(dir, 'out');
        const how = draw(3);
        const tag = `${farm.registry.host}/load/${worker}:1`;
        const more =
          how === 0 ? ['-o', out] : how === 1 ? ['-t', tag, '--push'] : ['--no-cache-filter', 'second', '-o', out];
        const built = await farm.build(dir, ...more);
        steps.hit += built['kiln.build'].steps.hit;
        steps.run += built['kiln.build'].steps.run;
        const read = how === 1 ? await see(`docker://${tag}`, dir) : undefined;
        for (const [path, text] of Object.entries(expected)) {
          const found = read === undefined ? await readFile(join(out, path), 'utf8') : await textIn(read, path);
          expect(found.endsWith(text), `${path} of ${JSON.stringify(files)}: ${found}`).toBe(true);
          if (path !== 'all') continue;
          // Whatever was taken from the cache: the same Dockerfile gives the same file.
          const known = firsts.get(files['Dockerfile'] + text) ?? found;
          expect(found).toBe(known);
          firsts.set(files['Dockerfile'] + text, known);
        }
        await rm(dir, { recursive: true });
      }
    };
    try {
      await Promise.all([0, 1, 2].map(work));
    } finally {
      over.abort();
      await Promise.all([collecting, checking]);
      await farm.stopBuilder('two', 'SIGTERM');
    }
    expect(wrong).toEqual([]);
    expect(steps.hit).toBeGreaterThan(0);
    expect(steps.run).toBeGreaterThan(0);
    expect(collected.evicted).toBeGreaterThan(0);
    expect(collected.removed).toBeGreaterThan(0);
    const failed = await farm.db.query(
      z.object({ failure: z.unknown() }),
      "SELECT failure FROM builds WHERE state = 'failed'",
    );
    expect(failed).toEqual([]);
  });
});

const Digests = z.object({ layer: z.string(), delta: z.string(), base: z.string() });

/** Of the one step that a build ran. */
async function blobsOf(buildId: string): Promise<z.infer<typeof Digests>> {
  const [row] = await farm.db.query(
    Digests,
    `SELECT layers->-1->'descriptor'->>'digest' AS layer, layers->-1->'delta'->>'digest' AS delta,
       layers->0->'descriptor'->>'digest' AS base FROM results WHERE producer_build = $1`,
    [buildId],
  );
  if (row === undefined) throw new Error(`the build ${buildId} made nothing`);
  return row;
}

const harms = {
  deleted: (path: string) => rm(path),
  flipped: async (path: string) => {
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(path, bytes);
  },
};

/** Dockerfiles that use what stage `a` made only once `slow` has ended, and what of it they use then. */
const points = [
  { point: 'unpacked for a step', blob: 'layer', last: 'FROM a\nCOPY --from=slow /slow /\n' },
  { point: 'exported', blob: 'layer', last: 'FROM a\nCOPY --link --from=slow /slow /\n' },
  { point: 'looked into for a content key', blob: 'delta', last: 'FROM slow\nCOPY --from=a /a /\n' },
  { point: 'exported below it', blob: 'base', last: 'FROM a\nCOPY --link --from=slow /slow /\n' },
] as const;

let drawn = 0;

async function loseAndBuild({ blob, last, harm }: Case): Promise<void> {
  const unique = `u${Date.now()}-${drawn++}`;
  const make = (slow: string): Readonly<Record<string, string>> => ({
    Dockerfile: `FROM box:1 AS a
  RUN echo ${unique} > /a
  FROM box:1 AS slow
  RUN ${slow}echo ${unique} > /slow
  ${last}`,
  });
  const dir = await project(make(''));
  const { 'kiln.build': first } = await farm.build(dir, '--target', 'a');
  const digest = (await blobsOf(first.id))[blob].slice('sha256:'.length);
  // The operation of the last step is known: its content is asked for.
  await farm.build(dir);
  await write(dir, make('echo go; sleep 3; '));
  const file = join(dir, 'image.tar');
  const building = farm.cli(['build', dir, '--progress=plain', '--output', `type=oci,dest=${file}`]);
  for (let tries = 0; !/^#\d+ [\d.]+ go$/m.test(building.seen()) && tries < 600; tries++) await delay(50);
  expect(building.seen()).toMatch(/^#\d+ [\d.]+ go$/m);
  await harms[harm](join(farm.dir, 'content/sha256', digest.slice(0, 2), digest));
  const { code, stdout, stderr } = await building.ended;
  expect(code, `${stdout}${stderr}\n${farm.logs()}`).toBe(0);
  const image = await see(`oci-archive:${file}`, await farm.folder());
  expect(await textIn(image, 'a')).toBe(`${unique}\n`);
}

const cases = points.flatMap((each) => (['deleted', 'flipped'] as const).map((harm) => ({ ...each, harm })));
type Case = (typeof cases)[number];
const NAME = '$harm, $blob $point: the step runs again';

describe.concurrent('a blob that is lost between look-up and use', () => {
  it.each(cases.filter(({ blob }) => blob !== 'base'))(NAME, loseAndBuild);
});

// All others stand on it.
describe('a blob of the base that is lost between look-up and use', () => {
  it.each(cases.filter(({ blob }) => blob === 'base'))(NAME, loseAndBuild);
});

const Usage = z.object({
  cacheBytes: z.int(),
  kinds: z.array(z.object({ kind: z.string(), bytes: z.int() })),
  scopes: z.array(z.object({ scope: z.string(), results: z.int(), bytes: z.int() })),
});
const Pruned = z.object({
  results: z.array(z.object({ name: z.string(), bytes: z.int(), costMs: z.number(), value: z.number() })),
  bytesBefore: z.int(),
  bytesAfter: z.int(),
});

describe('kiln cache', () => {
  it('shows what takes room, says what would go, and takes it', async () => {
    const dir = await project({
      Dockerfile: 'FROM box:1\nRUN head -c 400000 /dev/urandom > /large\nRUN sleep 1; echo > /dear\n',
    });
    await farm.build(dir);
    const json = async (...args: readonly string[]): Promise<unknown> => {
      const { code, stdout, stderr } = await farm.cli(['cache', ...args, '--json']).ended;
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout);
    };
    const usage = Usage.parse(await json('du'));
    expect(usage.scopes).toMatchObject([{ scope: 'main' }]);
    expect(usage.cacheBytes).toBeGreaterThan(400_000);
    const would = Pruned.parse(await json('prune', '--dry-run'));
    expect(would.results.map(({ name }) => name)).toContain('RUN head -c 400000 /dev/urandom > /large');
    expect(would.bytesBefore).toBe(usage.cacheBytes);
    expect(Pruned.parse(await json('prune', '--force', '--filter', 'until=1h')).results).toEqual([]);
    expect((await farm.build(dir))['kiln.build'].steps.run).toBe(0);

    const refused = await farm.cli(['cache', 'prune'], { input: 'n\n' }).ended;
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('nothing was removed')]);
    const pruned = Pruned.parse(await json('prune', '--force'));
    expect(pruned.results.length).toBeGreaterThanOrEqual(would.results.length);
    expect((await farm.build(dir))['kiln.build'].steps.run).toBe(2);

    const text = await farm.cli(['cache', 'du']).ended;
    expect(text.stdout).toMatch(/^KIND +BLOBS +SIZE\n/);
    expect((await farm.cli(['cache', 'prune', '--dry-run']).ended).stdout).toMatch(/^STEP +SIZE +COST +USES/);
    expect((await farm.cli(['cache', 'prune', '--keep-storage', 'much']).ended).code).toBe(2);
  });
});

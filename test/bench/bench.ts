// `npm run bench`: how long a farm takes, as its users see it and by its own clock. Figures, not tests: machines differ.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { KilnClient } from '#client';
import { z } from 'zod';
import { farmIdOf } from '../../apps/local/src/layout.ts';
import { EmbeddedFarm } from '../farm/embedded-farm.ts';

const RUNS_MIN = 5;
const STATUS_REQUESTS = 200;
const TRIVIAL_STEPS = 10;
const example = fileURLToPath(new URL('../../examples/helloworld', import.meta.url));

interface Figure {
  readonly name: string;
  /** milliseconds, a value a run */
  readonly samples: readonly number[];
}

const Metadata = z.object({
  'kiln.build': z.object({
    id: z.string(),
    durationMs: z.number(),
    steps: z.object({ total: z.int(), hit: z.int(), run: z.int() }),
  }),
});

interface Built {
  /** of the command, from its start to its end */
  readonly wallMs: number;
  /** of the farm, from claim to finish */
  readonly farmMs: number;
  /** from acceptance to claim */
  readonly claimMs: number;
  readonly id: string;
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

class Bench {
  readonly #figures: Figure[] = [];
  readonly farm: EmbeddedFarm;
  readonly runs: number;

  constructor(farm: EmbeddedFarm, runs: number) {
    this.farm = farm;
    this.runs = runs;
  }

  get figures(): readonly Figure[] {
    return this.#figures;
  }

  add(name: string, samples: readonly number[]): void {
    this.#figures.push({ name, samples });
    process.stderr.write(`${name}: ${median(samples).toFixed(1)} ms\n`);
  }

  async client(): Promise<KilnClient> {
    const { url, token } = z
      .object({ url: z.string(), token: z.string() })
      .parse(JSON.parse(await readFile(join(this.farm.data, 'farm.json'), 'utf8')));
    return new KilnClient({ baseUrl: url, token });
  }

  /** @param expected steps that have to run: a figure of something else is worth nothing */
  async build(dir: string, expected: number, ...args: readonly string[]): Promise<Built> {
    const file = join(this.farm.dir, 'metadata.json');
    const beganMs = performance.now();
    await this.farm.succeed('build', dir, '--metadata-file', file, '--progress=quiet', ...args);
    const wallMs = performance.now() - beganMs;
    const { id, durationMs: farmMs, steps } = Metadata.parse(JSON.parse(await readFile(file, 'utf8')))['kiln.build'];
    if (steps.run !== expected) throw new Error(`${steps.run} steps ran where ${expected} should have`);
    await using client = await this.client();
    const { createdAt, startedAt } = await client.build(id);
    const claimMs = Date.parse(startedAt ?? createdAt) - Date.parse(createdAt);
    return { wallMs, farmMs, claimMs, id };
  }

  async repeat(work: (run: number) => Promise<Built>): Promise<readonly Built[]> {
    const all: Built[] = [];
    for (let run = 0; run < this.runs; run++) all.push(await work(run));
    return all;
  }

  /** Ends the farm, empties its builders' disks, and starts it again. */
  async wipe(): Promise<void> {
    await this.farm.succeed('down');
    for (const open of [join(this.farm.data, 'open'), join('/var/lib/kiln', await farmIdOf(this.farm.data))]) {
      for (const name of await readdir(open).catch(() => [])) {
        if (name.startsWith('builder-')) await rm(join(open, name), { recursive: true, force: true });
      }
    }
    await this.farm.succeed('up', '--builders', '1');
  }
}

async function measure(bench: Bench): Promise<void> {
  const { farm } = bench;
  await farm.succeed('up', '--builders', '1');
  const { registry } = await farm.status();
  const image = `${registry.address}/acme/helloworld:bench`;
  await bench.build(example, 4, '-t', image, '--push');

  const cached = await bench.repeat(() => bench.build(example, 0));
  bench.add(
    'fully cached build, client',
    cached.map(({ wallMs }) => wallMs),
  );
  bench.add(
    'fully cached build, farm (claim to finish)',
    cached.map(({ farmMs }) => farmMs),
  );
  bench.add(
    'claim latency (accepted to claimed)',
    cached.map(({ claimMs }) => claimMs),
  );
  const pushed = await bench.repeat(() => bench.build(example, 0, '-t', image, '--push'));
  bench.add(
    'fully cached build with push, client',
    pushed.map(({ wallMs }) => wallMs),
  );

  const trivial = join(farm.dir, 'trivial');
  await mkdir(trivial);
  const steps = await bench.repeat(async (run) => {
    const lines = Array.from({ length: TRIVIAL_STEPS }, (_, step) => `RUN : ${run}.${step}`);
    await writeFile(join(trivial, 'Dockerfile'), `FROM busybox:1\n${lines.join('\n')}\n`);
    return bench.build(trivial, TRIVIAL_STEPS);
  });
  bench.add(
    'ten trivial RUN steps, client',
    steps.map(({ wallMs }) => wallMs),
  );
  bench.add(
    'ten trivial RUN steps, a step',
    steps.map(({ farmMs }) => farmMs / TRIVIAL_STEPS),
  );

  const wiped = await bench.repeat(async () => {
    await bench.wipe();
    return bench.build(example, 0, '-t', image, '--push');
  });
  bench.add(
    'wiped builder, fully cached with push, client',
    wiped.map(({ wallMs }) => wallMs),
  );
  bench.add(
    'wiped builder, fully cached with push, farm',
    wiped.map(({ farmMs }) => farmMs),
  );

  const cold = await bench.repeat(async () => {
    await bench.wipe();
    return bench.build(example, 4, '--no-cache', '-t', image, '--push');
  });
  bench.add(
    'classic example cold, client',
    cold.map(({ wallMs }) => wallMs),
  );

  await using client = await bench.client();
  const id = cached[0]?.id ?? '';
  await client.build(id);
  const requests: number[] = [];
  for (let index = 0; index < STATUS_REQUESTS; index++) {
    const beganMs = performance.now();
    await client.build(id);
    requests.push(performance.now() - beganMs);
  }
  bench.add('API status request', requests);
}

function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, samples }) => {
    const cells = [median(samples), Math.min(...samples), Math.max(...samples)].map((value) => value.toFixed(1));
    return [name, ...cells, String(samples.length)];
  });
  const head = ['', 'median ms', 'min', 'max', 'runs'];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  return [head, ...rows].map(line).join('\n');
}

const { values } = parseArgs({ options: { runs: { type: 'string', default: String(RUNS_MIN) } } });
const runs = Number(values.runs);
if (!Number.isInteger(runs) || runs < RUNS_MIN) throw new Error(`--runs is a number from ${RUNS_MIN}`);
await using farm = await EmbeddedFarm.create();
const bench = new Bench(farm, runs);
await measure(bench);
const machine = { cpus: cpus().length, memoryBytes: totalmem(), node: process.version };
const round = (ms: number): number => Math.round(ms * 10) / 10;
const figures = bench.figures.map(({ name, samples }) => ({
  name,
  medianMs: round(median(samples)),
  samplesMs: samples.map(round),
}));
process.stdout.write(`${tableOf(bench.figures)}\n\n${JSON.stringify({ machine, figures })}\n`);

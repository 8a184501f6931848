// `npm run bench:queue`: builds of many projects through the API and the queue to real builders. Figures, not tests.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { KilnClient } from '#client';
import type { BuildView } from '#protocol';
import { single } from '#std';
import { encodeHeader, endOfTar, padding } from '#tar';
import { z } from 'zod';
import { EmbeddedFarm } from '../farm/embedded-farm.ts';

const { values } = parseArgs({
  options: {
    builds: { type: 'string', default: '1000' },
    projects: { type: 'string', default: '20' },
    clients: { type: 'string', default: '20' },
  },
});
const PROJECTS = Number(values.projects);
const EACH = Math.ceil(Number(values.builds) / PROJECTS);
const CLIENTS = Number(values.clients);

/** Milliseconds of each request, by what it was. */
const latencies = new Map<string, number[]>();
async function timed<T>(what: string, ask: () => Promise<T>): Promise<T> {
  const beganMs = performance.now();
  const answer = await ask();
  const known = latencies.get(what) ?? [];
  known.push(performance.now() - beganMs);
  latencies.set(what, known);
  return answer;
}

function percentile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

interface Project {
  readonly index: number;
  readonly client: KilnClient;
}

/** Builds that run nothing: what is measured is all around it. */
function contextOf(dockerfile: string): Buffer {
  const bytes = Buffer.from(dockerfile);
  const head = { name: Buffer.from('Dockerfile'), type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0 } as const;
  return Buffer.concat([
    encodeHeader({ ...head, size: bytes.length }),
    bytes,
    Buffer.alloc(padding(bytes.length)),
    endOfTar,
  ]);
}

async function submit({ index, client }: Project, n: number): Promise<BuildView> {
  const tar = contextOf(`FROM scratch\nLABEL n=${index}-${n}\n`);
  const archives = [{ name: 'context', open: () => single(tar) }];
  const request = { source: { branch: `b${n % 5}` } };
  return await timed('submit', () => client.submitBuild(request, { archives }, { idempotencyKey: `${index}-${n}` }));
}

async function inParallel<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of left) await work(item);
    }),
  );
}

await using farm = await EmbeddedFarm.create();
await farm.succeed('up', '--builders', '2');
const { url, token } = z
  .object({ url: z.string(), token: z.string() })
  .parse(JSON.parse(await readFile(join(farm.data, 'farm.json'), 'utf8')));
await using owner = new KilnClient({ baseUrl: url, token });
const projects: Project[] = [];
for (let index = 0; index < PROJECTS; index++) {
  const project = `bench-${index}`;
  await owner.access.createProject({ name: project });
  const made = await owner.access.createToken({ name: 'bench', project, permissions: ['build', 'read'] });
  projects.push({ index, client: new KilnClient({ baseUrl: url, token: made.token }) });
}

const owners = new Map<string, number>();
const ids = projects.map((): string[] => []);
const send = async (project: Project, n: number): Promise<void> => {
  const { id } = await submit(project, n);
  owners.set(id, project.index);
  ids[project.index]?.push(id);
};
const numbers = Array.from({ length: EACH }, (_, n) => n);
const reading = new AbortController();
const readers = projects.slice(0, 4).map(async ({ client, index }) => {
  while (!reading.signal.aborted) {
    const id = ids[index]?.at(-1);
    if (id !== undefined) await timed('status', () => client.build(id));
    await timed('list', () => client.builds({ limit: 20 }));
    await delay(50);
  }
});
const beganMs = performance.now();
const [first, ...others] = projects;
// One comes with all of its own before the others do.
if (first !== undefined) await inParallel(numbers, CLIENTS, (n) => send(first, n));
const rest = numbers.flatMap((n) => others.map((project) => ({ project, n })));
await inParallel(rest, CLIENTS, ({ project, n }) => send(project, n));
const submittedMs = performance.now() - beganMs;
const submittedAt = new Date().toISOString();

const ended: BuildView[] = [];
for (const { client } of projects) {
  let found: BuildView[] = [];
  do {
    await delay(200);
    found = [];
    for (let cursor: string | undefined; ; ) {
      const page = await client.builds({ limit: 100, cursor });
      found.push(...page.builds);
      if (page.next === null) break;
      cursor = page.next;
    }
  } while (found.some(({ state }) => state === 'queued' || state === 'running'));
  ended.push(...found);
}
const tookMs = performance.now() - beganMs;
reading.abort();
await Promise.all(readers);
for (const { client } of projects) await client.close();

const states = Object.groupBy(ended, ({ state }) => state);
const order = ended
  .filter(({ startedAt }) => startedAt !== null)
  .toSorted((a, b) => (a.startedAt ?? '').localeCompare(b.startedAt ?? ''));
// While all of them wait: in every round one of each, but for those that several builders take at the same moment.
const waiting = order.filter(({ startedAt }) => (startedAt ?? '') > submittedAt);
const rounds = Array.from({ length: Math.floor(waiting.length / PROJECTS) }, (_, round) => {
  const taken = waiting.slice(round * PROJECTS, (round + 1) * PROJECTS);
  return new Set(taken.map(({ id }) => owners.get(id))).size;
});
const say = (text: string): void => void process.stdout.write(`${text}\n`);
say(`${owners.size} builds of ${PROJECTS} projects, submitted in ${(submittedMs / 1000).toFixed(1)} s`);
say(
  `ended: ${Object.entries(states)
    .map(([state, list]) => `${list?.length ?? 0} ${state}`)
    .join(', ')}; ${owners.size - ended.length} lost`,
);
say(`${(ended.length / (tookMs / 1000)).toFixed(1)} builds/s, all in ${(tookMs / 1000).toFixed(1)} s`);
say(
  `${waiting.length} began after all had come, in ${rounds.length} rounds of ${PROJECTS}; projects in a round: ${Math.min(...rounds)} at least, ${percentile(rounds, 0.5)} median`,
);
for (const [what, samples] of latencies) {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((part) => percentile(samples, part).toFixed(1));
  say(
    `${what.padEnd(8)} ${String(samples.length).padStart(6)} requests   p50 ${p50} ms   p95 ${p95} ms   p99 ${p99} ms`,
  );
}

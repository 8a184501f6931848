import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isFinal, type NumberedEvent } from '#protocol';
import { BuildLedger, EventFeed, openRedis, ProjectStore } from '#storage';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { write } from './context.ts';
import { cgroupParent, Farm, type RunningCli } from './farm.ts';

let farm: Farm;
let ledger: BuildLedger;
let feed: EventFeed;
let stack: AsyncDisposableStack;
beforeAll(async () => {
  stack = new AsyncDisposableStack();
  farm = stack.use(await Farm.start());
  await farm.stopBuilder('one', 'SIGKILL');
  const redis = stack.use(openRedis({ url: farm.redis.url }));
  ledger = new BuildLedger({ db: farm.db, redis });
  feed = new EventFeed({ db: farm.db, redis, content: farm.content });
});
afterAll(() => stack.disposeAsync());

let made = 0;
/** A pair of builders whose disks are empty. */
let a: string;
let b: string;
beforeEach(async () => {
  for (const name of farm.builders()) await farm.stopBuilder(name, 'SIGKILL');
  await farm.db.execute("UPDATE builders SET state = 'stopped'");
  [a, b] = [`a${++made}`, `b${made}`];
  await Promise.all([a, b].map((name) => farm.startBuilder(name)));
});

async function until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await delay(50);
  }
  throw new Error(`${what} did not come:\n${farm.logs()}`);
}

async function folder(dockerfile: string): Promise<string> {
  const dir = await farm.folder();
  await write(dir, { Dockerfile: dockerfile });
  return dir;
}

const Row = z.object({ id: z.string(), owner: z.string().nullable(), state: z.string(), attempt: z.int() });
type Row = z.infer<typeof Row>;

async function rowOf(id: string): Promise<Row> {
  const [row] = await farm.db.query(Row, 'SELECT id, owner, state, attempt FROM builds WHERE id = $1', [id]);
  if (row === undefined) throw new Error(`no build ${id}`);
  return row;
}

async function newest(): Promise<Row | undefined> {
  const [row] = await farm.db.query(
    Row,
    'SELECT id, owner, state, attempt FROM builds ORDER BY created_at DESC LIMIT 1',
  );
  return row;
}

/** A build whose step prints for `seconds`, seen to do so; who runs it, and how it goes on. */
async function slowBuild(
  seconds: number,
): Promise<{ readonly id: string; readonly owner: string; readonly cli: RunningCli; readonly marker: string }> {
  const marker = `m${Date.now()}`;
  const dir = await folder(
    `FROM box:1
RUN echo ${marker} > /first
RUN for i in $(seq 1 ${seconds * 10}); do echo ${marker} line $i; sleep 0.1; done
`,
  );
  const cli = farm.cli(['build', dir, '--progress=plain']);
  await until('the slow step', () => cli.seen().includes(`${marker} line 3`) || undefined);
  const row = await newest();
  if (row?.owner === undefined || row.owner === null) throw new Error('nobody runs the build');
  // What the first step made is stored beside the second: from then on nobody runs it again.
  await until('the first step’s result', async () => (await resultsOf(row.id)).length > 0 || undefined);
  return { id: row.id, owner: row.owner, cli, marker };
}

const other = (name: string): string => (name === a ? b : a);

async function eventsOf(id: string): Promise<readonly NumberedEvent[]> {
  const all: NumberedEvent[] = [];
  for (;;) {
    const page = await feed.read(id, all.length);
    if (page.length === 0) return all;
    all.push(...page);
  }
}

/** Numbered from 1 without gaps, with one end, at the end. */
function expectWhole(events: readonly NumberedEvent[]): void {
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  expect(events.map(({ event }) => isFinal(event)).lastIndexOf(true)).toBe(events.length - 1);
  expect(events.filter(({ event }) => isFinal(event))).toHaveLength(1);
}

/** Lines that the slow step wrote in the last attempt. */
function linesOf(events: readonly NumberedEvent[], marker: string): readonly string[] {
  const from = events.findLastIndex(({ event }) => event.type === 'started');
  const text = events.slice(from).map(({ event }) => (event.type === 'log' ? event.text : ''));
  return text
    .join('')
    .split('\n')
    .filter((line) => line.startsWith(marker));
}

const attempts = (events: readonly NumberedEvent[]): readonly string[] =>
  events.flatMap(({ event }) => (event.type === 'started' ? [event.builderId] : []));

/** Control groups of a builder's steps. */
async function cgroupsOf(builder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const path of glob(`/sys/fs/cgroup{,/*}${cgroupParent}/${builder}/*/`)) found.push(path);
  return found;
}

async function stateOf(builder: string): Promise<string | undefined> {
  const rows = await farm.db.query(z.object({ state: z.string() }), 'SELECT state FROM builders WHERE id = $1', [
    builder,
  ]);
  return rows[0]?.state;
}

async function projectOf(id: string): Promise<string> {
  const rows = await farm.db.query(
    z.object({ project_id: z.string() }),
    'SELECT project_id FROM builds WHERE id = $1',
    [id],
  );
  return rows[0]?.project_id ?? '';
}

/** What a build has put into the cache. */
async function resultsOf(id: string): Promise<readonly { readonly producer_builder: string }[]> {
  return await farm.db.query(
    z.object({ id: z.string(), producer_builder: z.string() }),
    'SELECT id, producer_builder FROM results WHERE producer_build = $1 ORDER BY version',
    [id],
  );
}

/** Processes on this machine whose command line holds a text. */
function processesWith(text: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    });
}

describe('a project that runs one build at once', () => {
  it('has them one after the other, on whichever builder is free', async () => {
    const projects = new ProjectStore(farm.db);
    await projects.limit('default', { maxRunning: 1 });
    try {
      const dirs = await Promise.all(
        ['a', 'b', 'c', 'd'].map((name) => folder(`FROM box:1\nRUN echo ${name}${Date.now()}; sleep 0.5\n`)),
      );
      const all = dirs.map((dir) => farm.cli(['build', dir, '--progress=plain']));
      const ends = await Promise.all(all.map((each) => each.ended));
      expect(ends.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
      const Overlap = z.object({ overlaps: z.int() });
      const [row] = await farm.db.query(
        Overlap,
        `WITH last AS (SELECT id, started_at, finished_at FROM builds ORDER BY created_at DESC LIMIT 4)
         SELECT count(*)::int AS overlaps FROM last x JOIN last y
         ON x.id < y.id AND x.started_at < y.finished_at AND y.started_at < x.finished_at`,
      );
      expect(row).toEqual({ overlaps: 0 });
    } finally {
      await projects.limit('default', { maxRunning: null });
    }
  });
});

describe('two builders', () => {
  it('take a build each before either takes a second', async () => {
    const dirs = await Promise.all(
      [1, 2, 3, 4].map((number) => folder(`FROM box:1\nRUN echo ${made} ${number} && sleep 6\n`)),
    );
    const detached = await Promise.all(dirs.map((dir) => farm.cli(['build', dir, '--detach']).ended));
    const ids = detached.map(({ stdout }) => stdout.trim());
    await until('four running builds', async () => {
      const rows = await Promise.all(ids.map(rowOf));
      return rows.every(({ owner }) => owner !== null) || undefined;
    });
    const owners = (await Promise.all(ids.map(rowOf))).map(({ owner }) => owner);
    expect(owners.filter((owner) => owner === a)).toHaveLength(2);
    for (const id of ids) await until('its end', async () => (await rowOf(id)).state === 'succeeded' || undefined);
  });

  it('end ten builds at once, all right', async () => {
    const dirs = await Promise.all(
      Array.from({ length: 10 }, (_, number) =>
        folder(
          `FROM box:1\nRUN echo shared ${made} > /shared\nRUN echo ${made} ${number} > /own\nCMD ["cat", "/own"]\n`,
        ),
      ),
    );
    const built = await Promise.all(
      dirs.map((dir, number) => farm.build(dir, '-t', `${farm.registry.host}/ten/n${number}:1`, '--push')),
    );
    expect(new Set(built.map((metadata) => metadata['containerimage.digest'])).size).toBe(10);
    const again = await Promise.all(
      dirs.map((dir, number) => farm.build(dir, '-t', `${farm.registry.host}/ten/n${number}:1`, '--push')),
    );
    for (const metadata of again) expect(metadata['kiln.build'].steps).toMatchObject({ run: 0, total: 2 });
    expect(again.map((metadata) => metadata['containerimage.digest'])).toEqual(
      built.map((metadata) => metadata['containerimage.digest']),
    );
  });

  it('share the cache, also with one whose disk was wiped: of thirty steps none, one look-up, no layer', async () => {
    const runs = Array.from({ length: 29 }, (_, index) => `RUN echo ${made} wiped ${index} > /file`);
    const dir = await folder(['FROM box:1', ...runs, 'COPY Dockerfile /', ''].join('\n'));
    const first = await farm.build(dir, '-t', `${farm.registry.host}/acme/wiped:1`, '--push');
    for (const name of [a, b]) {
      await farm.stopBuilder(name, 'SIGKILL');
      rmSync(join(farm.dir, `builder-${name}`), { recursive: true });
    }
    await farm.startBuilder(a);
    const second = await farm.build(dir, '-t', `${farm.registry.host}/acme/wiped:1`, '--push');
    expect(second['kiln.build']).toMatchObject({ steps: { run: 0, hit: 30 }, bytes: { pulled: 0, pushed: 0 } });
    const ended = farm
      .logs()
      .split('\n')
      .find((line) => line.includes('build ended') && line.includes(second['kiln.build'].id));
    expect(JSON.parse(ended ?? '{}')).toMatchObject({ state: 'succeeded', lookups: 1 });
    expect(second['containerimage.digest']).toBe(first['containerimage.digest']);
    expect(readdirSync(join(farm.dir, `builder-${a}`, 'snapshots')).filter((name) => /^\d/.test(name))).toEqual([]);
  });
});

describe('a builder that is lost in a RUN', () => {
  it('costs the step that ran: the build goes on elsewhere, its log in order', async () => {
    const { id, owner, cli, marker } = await slowBuild(8);
    await farm.stopBuilder(owner, 'SIGKILL');
    const { code, stdout, stderr } = await cli.ended;
    expect(code, stdout + stderr).toBe(0);
    const events = await eventsOf(id);
    expectWhole(events);
    expect(attempts(events)).toEqual([owner, other(owner)]);
    expect(linesOf(events, marker)).toEqual(Array.from({ length: 80 }, (_, index) => `${marker} line ${index + 1}`));
    const outcomes = (await ledger.steps(await projectOf(id), id)).map(({ name, state }) => [name, state]);
    expect(outcomes).toEqual([
      [expect.stringContaining('FROM'), 'done'],
      [expect.stringContaining('/first'), 'hit'],
      [expect.stringContaining('seq'), 'run'],
    ]);
    // Its processes went with its pid namespace; its next process clears the control groups.
    expect(processesWith(marker)).toEqual([]);
    await farm.startBuilder(owner);
    expect(await cgroupsOf(owner)).toEqual([]);
  });

  it('says nothing more once another has the build, when it was only asleep', async () => {
    const { id, owner, cli, marker } = await slowBuild(3);
    await farm.signalBuilder(owner, 'SIGSTOP');
    const { code, stdout, stderr } = await cli.ended;
    expect(code, stdout + stderr).toBe(0);
    const before = await eventsOf(id);
    expectWhole(before);
    expect(attempts(before)).toEqual([owner, other(owner)]);
    const results = await resultsOf(id);
    await farm.signalBuilder(owner, 'SIGCONT');
    await until('the end of the sleeper’s step', () => processesWith(marker).length === 0 || undefined);
    await until('its saying so', () => /has gone to another builder/.test(farm.logs()) || undefined);
    expect(await eventsOf(id)).toEqual(before);
    expect(await resultsOf(id)).toEqual(results);
    expect(results.map(({ producer_builder: builder }) => builder)).toContain(other(owner));
    // It is as good as new.
    await farm.stopBuilder(other(owner), 'SIGKILL');
    await farm.build(await folder(`FROM box:1\nRUN echo awake ${made}\n`));
  });
});

describe('a builder that is asked to end', () => {
  it('finishes its builds and takes no more', async () => {
    const { id, owner, cli } = await slowBuild(2);
    await farm.signalBuilder(owner, 'SIGTERM');
    await until('draining', async () => (await stateOf(owner)) === 'draining' || undefined);
    await farm.build(await folder(`FROM box:1\nRUN echo while draining ${made}\n`));
    expect((await newest())?.owner).toBe(other(owner));
    expect((await cli.ended).code).toBe(0);
    await farm.builderEnded(owner);
    expect(await rowOf(id)).toMatchObject({ owner, attempt: 1, state: 'succeeded' });
    expect(await stateOf(owner)).toBe('stopped');
  });

  it('hands over what takes longer than it may', async () => {
    await farm.stopBuilder(a, 'SIGTERM');
    await farm.startBuilder(a, { KILN_BUILDER_DRAIN_SECONDS: '0' });
    await farm.stopBuilder(b, 'SIGTERM');
    const { id, owner, cli, marker } = await slowBuild(15);
    expect(owner).toBe(a);
    await farm.startBuilder(b);
    await farm.signalBuilder(a, 'SIGTERM');
    await farm.builderEnded(a);
    expect(processesWith(marker)).toEqual([]);
    expect(await cgroupsOf(a)).toEqual([]);
    expect((await cli.ended).code).toBe(0);
    const events = await eventsOf(id);
    expectWhole(events);
    expect(attempts(events)).toEqual([a, b]);
  });
});

describe('a builder that is drained', () => {
  it('goes on with what it has, gets no build until it is undrained, and stays so when it is started anew', async () => {
    const { id, owner, cli } = await slowBuild(8);
    const drained = await farm.cli(['builder', 'drain', owner]).ended;
    expect([drained.code, drained.stdout]).toEqual([0, expect.stringMatching(new RegExp(`${owner} +draining`))]);
    const few = async (count: number) => {
      const dirs = await Promise.all(
        Array.from({ length: count }, (_, index) => folder(`FROM box:1\nRUN echo ${made} ${count} ${index} $(date)\n`)),
      );
      const built = await Promise.all(dirs.map((dir) => farm.build(dir)));
      return await Promise.all(built.map(async (each) => (await rowOf(each['kiln.build'].id)).owner));
    };
    expect(await few(6)).toEqual(Array.from({ length: 6 }, () => other(owner)));
    expect((await cli.ended).code).toBe(0);
    expect(await rowOf(id)).toMatchObject({ owner, attempt: 1, state: 'succeeded' });
    await farm.stopBuilder(owner, 'SIGKILL');
    await Promise.all([farm.startBuilder(owner), farm.startApi()]);
    const ls = await farm.cli(['builder', 'ls']).ended;
    expect(ls.stdout).toMatch(new RegExp(`${owner} +drained`));
    expect(await few(3)).toEqual(Array.from({ length: 3 }, () => other(owner)));
    await farm.stopBuilder(other(owner), 'SIGTERM');
    const waiting = few(1);
    await until('a queued build', async () => (await newest())?.state === 'queued' || undefined);
    expect((await farm.cli(['builder', 'undrain', owner]).ended).code).toBe(0);
    expect(await waiting).toEqual([owner]);
  });
});

describe('a build', () => {
  it('that is cancelled ends once, and nothing of it is left', async () => {
    const { id, owner, cli, marker } = await slowBuild(100);
    expect((await farm.cli(['cancel', id]).ended).code).toBe(0);
    await until('the end of its processes', () => processesWith(marker).length === 0 || undefined);
    const { code, stderr } = await cli.ended;
    expect([code, stderr]).toEqual([1, expect.stringMatching(/cancelled/)]);
    expect((await farm.cli(['cancel', id]).ended).code).toBe(0);
    const events = await eventsOf(id);
    expectWhole(events);
    expect(events.at(-1)?.event.type).toBe('cancelled');
    expect(await cgroupsOf(owner)).toEqual([]);
    for (const left of ['bundles', 'runc'])
      expect(readdirSync(join(farm.dir, `builder-${owner}`, 'run', left))).toEqual([]);
  });

  it('that nobody has taken yet is cancelled at once', async () => {
    for (const name of [a, b]) await farm.stopBuilder(name, 'SIGKILL');
    const { stdout } = await farm.cli(['build', await folder('FROM box:1\nRUN true\n'), '--detach']).ended;
    const id = stdout.trim();
    await farm.cli(['cancel', id]).ended;
    expect((await rowOf(id)).state).toBe('cancelled');
    await farm.startBuilder(a);
    await farm.build(await folder(`FROM box:1\nRUN echo after ${made}\n`));
    expect(attempts(await eventsOf(id))).toEqual([]);
  });

  it('goes on when its client goes away, and can be followed by another', async () => {
    const { id, cli, marker } = await slowBuild(2);
    cli.child.kill('SIGKILL');
    const follower = await farm.cli(['logs', '-f', id]).ended;
    expect(follower.code, follower.stderr).toBe(0);
    const lines = (follower.stdout + follower.stderr).split('\n').filter((line) => line.includes(`${marker} line `));
    expect(lines.filter((line) => !line.includes('seq'))).toHaveLength(20);
    expect((await rowOf(id)).state).toBe('succeeded');
  });
});

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { KilnClient } from '#client';
import { type BuildEvent, type BuildRequestInput, type BuildView, isFinal } from '#protocol';
import { single } from '#std';
import { EventFeed, openRedis, Permission, ProjectStore, TokenStore } from '#storage';
import { tarOf } from '#testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Farm } from './farm.ts';

let farm: Farm;
let feed: EventFeed;
let main: KilnClient;
let pr: KilnClient;
let stack: AsyncDisposableStack;
beforeAll(async () => {
  stack = new AsyncDisposableStack();
  farm = stack.use(await Farm.start());
  await Promise.all(['two', 'three'].map((name) => farm.startBuilder(name)));
  const redis = stack.use(openRedis({ url: farm.redis.url }));
  feed = new EventFeed({ db: farm.db, redis, content: farm.content });
  const ids = await new ProjectStore(farm.db).ensure('default', 'pr', { parent: 'main' });
  const token = await new TokenStore(farm.db).create({ ...ids, permissions: Permission.options });
  main = stack.use(new KilnClient({ baseUrl: farm.url, token: farm.token }));
  pr = stack.use(new KilnClient({ baseUrl: farm.url, token }));
});
afterAll(() => stack.disposeAsync());
afterEach(({ task }) => {
  if (task.result?.state === 'fail') process.stderr.write(farm.logs());
});

async function submit(dockerfile: string, more: BuildRequestInput = {}, client = main): Promise<string> {
  const tar = await tarOf({ name: 'file', text: 'content' });
  const request = { ...more, dockerfileText: dockerfile };
  const archives = [{ name: 'context', open: () => single(tar) }];
  return (await client.submitBuild(request, { archives }, { idempotencyKey: randomUUID() })).id;
}

const together = (count: number, dockerfile: string, more?: BuildRequestInput): Promise<readonly string[]> =>
  Promise.all(Array.from({ length: count }, () => submit(dockerfile, more)));

async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (let tries = 0; tries < 6_000; tries++) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await delay(10);
  }
  throw new Error(`${what} did not come:\n${farm.logs()}`);
}

const State = z.object({ id: z.string(), state: z.string(), owner: z.string().nullable() });

async function statesOf(ids: readonly string[]): Promise<readonly z.infer<typeof State>[]> {
  return await farm.db.query(State, 'SELECT id, state, owner FROM builds WHERE id = ANY ($1::text[])', [ids]);
}

async function ended(ids: readonly string[], client = main): Promise<readonly BuildView[]> {
  const isOver = ({ state }: z.infer<typeof State>): boolean => state !== 'queued' && state !== 'running';
  await until('the end of all builds', async () => (await statesOf(ids)).every(isOver));
  return await Promise.all(ids.map((id) => client.build(id)));
}

async function eventsOf(id: string): Promise<readonly BuildEvent[]> {
  const all: BuildEvent[] = [];
  for (;;) {
    const page = await feed.read(id, all.length);
    if (page.length === 0) return all;
    all.push(...page.map(({ event }) => event));
  }
}

async function says(id: string, text: string): Promise<boolean> {
  return (await eventsOf(id)).some((event) => event.type === 'log' && event.text.includes(text));
}

/** Whole lines of the last attempt's log that begin with a text. */
async function linesOf(id: string, start: string): Promise<readonly string[]> {
  const events = await eventsOf(id);
  const last = events.slice(events.findLastIndex((event) => event.type === 'started'));
  const text = last.map((event) => (event.type === 'log' ? event.text : '')).join('');
  return text.split('\n').filter((line) => line.startsWith(start));
}

/** How often the executors ran a step of these builds, the most often run first. */
function executions(ids: readonly string[]): readonly number[] {
  const counts = new Map<string, number>();
  for (const { buildId, vertex } of farm.runs())
    if (ids.includes(buildId)) counts.set(vertex, (counts.get(vertex) ?? 0) + 1);
  return [...counts.values()].toSorted((a, b) => b - a);
}

/** Results under each key that these builds recorded. */
async function recorded(ids: readonly string[]): Promise<readonly number[]> {
  const rows = await farm.db.query(
    z.object({ count: z.coerce.number() }),
    `SELECT count(*) AS count FROM records r JOIN results t USING (project_id, scope_id)
     WHERE t.id = r.result_id AND t.producer_build = ANY ($1::text[]) AND r.kind = 'definition' GROUP BY r.key`,
    [ids],
  );
  return rows.map(({ count }) => count);
}

const flightOf = async (id: string): Promise<boolean> =>
  (await farm.db.execute('SELECT FROM flights WHERE build_id = $1', [id])) > 0;
const hasRun = async (id: string): Promise<boolean> =>
  (await eventsOf(id)).some((event) => event.type === 'vertexDone' && event.outcome === 'run');
const ownerOf = async (id: string): Promise<string | undefined> => (await statesOf([id]))[0]?.owner ?? undefined;
const joinsOf = ({ result }: BuildView): number => result?.steps.joined ?? 0;

describe('two hundred builds of the same at once', () => {
  it('run each step once, on whatever builder, and give one image', async () => {
    const dockerfile = `FROM box:1
RUN echo crowd > /one
RUN for i in 1 2 3 4 5 6 7 8 9 10; do echo crowd line $i; sleep 0.2; done
COPY file /two
RUN cat /one /two > /three
`;
    const image: BuildRequestInput = { outputs: [{ type: 'image' }] };
    const ids = await together(200, dockerfile, image);
    const builds = await ended(ids);
    expect(new Set(builds.map(({ state }) => state))).toEqual(new Set(['succeeded']));
    expect(executions(ids)).toEqual([1, 1, 1, 1]);
    expect(await recorded(ids)).toEqual([1, 1, 1, 1]);
    expect(new Set(builds.map(({ result }) => result?.digest)).size).toBe(1);
    const joined = builds.filter((build) => joinsOf(build) > 0);
    expect(joined.length).toBeGreaterThan(3);
    const followers = await Promise.all(
      joined.map(async ({ id }) => ({ id, waited: await says(id, 'waiting for build') })),
    );
    const lines = Array.from({ length: 10 }, (_, index) => `crowd line ${index + 1}`);
    for (const { id, waited } of followers) {
      expect(waited).toBe(true);
      const seen = await linesOf(id, 'crowd line ');
      if (seen.length > 0) expect(seen).toEqual(lines);
    }
    const owners = new Set((await statesOf(ids)).map(({ owner }) => owner));
    expect(owners.size).toBe(3);
  });
});

describe('a build that runs a step for others', () => {
  it('fails with all of them, once, when the step fails; each at its own line', async () => {
    const failing = 'FROM box:1\nRUN echo sorry; sleep 4; exit 3\n';
    const first = await submit(failing);
    await until('the step', () => says(first, 'sorry'));
    const others = [...(await together(4, failing)), await submit(`# moved\n\n${failing}`)];
    for (const id of others) await until('its wait', () => says(id, `waiting for build ${first}`));
    const builds = await ended([first, ...others]);
    expect(executions([first, ...others])).toEqual([1]);
    for (const { state, failure } of builds) {
      expect(state).toBe('failed');
      expect(failure).toMatchObject({ code: 'STEP_FAILED', exitCode: 3, tail: ['sorry'] });
    }
    expect(builds.map(({ failure }) => failure?.excerpt?.line)).toEqual([2, 2, 2, 2, 2, 4]);
    expect(new Set(builds.map(({ failure }) => failure?.message)).size).toBe(1);
  });

  it('is cancelled alone: another goes on with the step', async () => {
    const dockerfile = 'FROM box:1\nRUN echo to be cancelled; sleep 2\n';
    const first = await submit(dockerfile);
    await until('the step', () => says(first, 'to be cancelled'));
    const others = await together(3, dockerfile);
    for (const id of others) await until('its wait', () => says(id, `waiting for build ${first}`));
    await main.cancel(first);
    expect((await ended([first]))[0]?.state).toBe('cancelled');
    const builds = await ended(others);
    expect(builds.map(({ state }) => state)).toEqual(['succeeded', 'succeeded', 'succeeded']);
    expect(builds.map(joinsOf).toSorted()).toEqual([0, 1, 1]);
    expect(executions([first, ...others])).toEqual([2]);
    expect(await says(others[0] ?? '', `build ${first} has left this step`)).toBe(true);
  });

  it('for a pull request is joined by none of the branch, which is joined by it', async () => {
    const step = (name: string): string => `FROM box:1\nRUN echo ${name}; sleep 3\n`;
    const ofMain = await submit(step('of main'));
    const ofPr = await submit(step('of the request'), {}, pr);
    await until('both steps', async () => (await says(ofMain, 'of main')) && (await says(ofPr, 'of the request')));
    const joining = await submit(step('of main'), {}, pr);
    const alone = await submit(step('of the request'));
    const [joined, ran] = await ended([joining, alone]);
    expect([joined?.result?.steps, ran?.result?.steps]).toMatchObject([{ joined: 1 }, { joined: 0, run: 1 }]);
    expect(executions([ofMain, joining])).toEqual([1]);
    expect(executions([ofPr, alone])).toEqual([2]);
    await ended([ofMain, ofPr]);
  });

  it('shares no failure that a secret may have caused, and its success', async () => {
    const secret = (text: string) => ({ secrets: { key: Buffer.from(text).toString('base64') } });
    const dockerfile = `FROM box:1
RUN --mount=type=secret,id=key echo key was read; sleep 3; test "$(cat /run/secrets/key)" = right
`;
    const wrong = await submit(dockerfile, secret('wrong'));
    await until('the step', () => says(wrong, 'key was read'));
    const right = await submit(dockerfile, secret('right'));
    await until('its wait', () => says(right, 'waiting for build'));
    expect((await ended([wrong, right])).map(({ state }) => state)).toEqual(['failed', 'succeeded']);
  });

  it('without the cache runs each time', async () => {
    const dockerfile = 'FROM box:1\nRUN echo anew; sleep 1\nRUN echo after\n';
    const ids = await together(2, dockerfile, { noCache: true });
    expect((await ended(ids)).map(({ result }) => result?.steps)).toMatchObject([
      { run: 2, joined: 0 },
      { run: 2, joined: 0 },
    ]);
    expect(executions(ids)).toEqual([2, 2]);
  });
});

describe('a builder that is lost, or frozen, with a step that others wait for', () => {
  it('costs that step, at whatever stage: all end right, and no result is there twice', async () => {
    for (const name of farm.builders()) await farm.stopBuilder(name, 'SIGKILL');
    await farm.db.execute("UPDATE builders SET state = 'stopped'");
    const names = Array.from({ length: 6 }, (_, index) => `stage-${index}`);
    await Promise.all(names.map((name) => farm.startBuilder(name)));
    /** Alone on a builder, which is idle: builds go to those first. */
    const begin = async (dockerfile: string): Promise<{ readonly id: string; readonly builder: string }> => {
      const id = await submit(dockerfile);
      return { id, builder: await until('its claim', () => ownerOf(id)) };
    };
    const follow = async (id: string, dockerfile: string): Promise<readonly string[]> => {
      return [id, ...(await together(2, dockerfile))];
    };
    // Each makes a file of its own: what changes nothing would be one result, whoever made it.
    const stages = {
      running: 'FROM box:1\nRUN echo > /running; for i in $(seq 1 30); do echo running line $i; sleep 0.2; done\n',
      settling: 'FROM box:1\nRUN dd if=/dev/urandom of=/big bs=1M count=100\n',
      saved: 'FROM box:1\nRUN echo > /saved; sleep 2\nRUN echo > /begun; sleep 3\n',
      frozen: 'FROM box:1\nRUN echo > /frozen; for i in $(seq 1 20); do echo frozen line $i; sleep 0.2; done\n',
      boarded: 'FROM box:1\nRUN echo > /boarded; sleep 2\n',
    };
    const [running, frozen, saved, settling] = [
      await begin(stages.running),
      await begin(stages.frozen),
      await begin(stages.saved),
      await begin(stages.settling),
    ];
    const lost = async (build: typeof running, stage: string, reached: () => Promise<boolean>): Promise<void> => {
      await until(stage, reached);
      await farm.stopBuilder(build.builder, 'SIGKILL');
    };
    const groups = await Promise.all([
      (async () => {
        const ids = await follow(running.id, stages.running);
        await lost(running, 'waiting builds', async () => {
          const waiting = await Promise.all(ids.slice(1).map((id) => says(id, `waiting for build ${running.id}`)));
          return waiting.every(Boolean) && (await says(running.id, 'running line 3'));
        });
        return ids;
      })(),
      (async () => {
        await lost(settling, 'a layer on its way', async () => (await hasRun(settling.id)) && flightOf(settling.id));
        return follow(settling.id, stages.settling);
      })(),
      (async () => {
        const ids = await follow(saved.id, stages.saved);
        await lost(saved, 'the record', async () => (await recorded([saved.id])).length === 1);
        return ids;
      })(),
      (async () => {
        const ids = await follow(frozen.id, stages.frozen);
        await until('the frozen step', () => says(frozen.id, 'frozen line 3'));
        await farm.signalBuilder(frozen.builder, 'SIGSTOP');
        return ids;
      })(),
    ]);
    const boarded = await begin(stages.boarded);
    await lost(boarded, 'the flight', () => flightOf(boarded.id));
    groups.push(await follow(boarded.id, stages.boarded));

    for (const ids of groups) {
      const builds = await ended(ids);
      expect(builds.map(({ state }) => state)).toEqual(['succeeded', 'succeeded', 'succeeded']);
      expect(new Set(builds.map(({ result }) => result?.configDigest)).size).toBe(1);
      expect(new Set(await recorded(ids))).toEqual(new Set([1]));
      expect(executions(ids)[0]).toBeLessThanOrEqual(2);
    }
    // Its first step was recorded: nobody runs that again.
    expect(executions(groups[2] ?? []).at(-1)).toBe(1);
    // A waiting build that was lost itself comes back to a hit, which has no log.
    const seen = await Promise.all((groups[0] ?? []).map((id) => linesOf(id, 'running line 30')));
    expect(Math.max(...seen.map((lines) => lines.length))).toBe(1);

    // Who was away is not heard any more, and does nobody harm.
    await farm.signalBuilder(frozen.builder, 'SIGCONT');
    await until('the end of what was frozen', () => farm.logs().includes('the build has gone to another builder'));
    expect(await recorded(groups[3] ?? [])).toEqual([1]);
    expect(await farm.db.execute('SELECT FROM flights')).toBe(0);
    for (const id of groups.flat()) expect((await eventsOf(id)).filter(isFinal)).toHaveLength(1);
  });
});

import type { Definition } from '#graph';
import type { BuildEvent } from '#protocol';
import { KilnError, systemClock } from '#std';
import { type MemoryCacheStore, MemoryRecords } from '#testing';
import { describe, expect, it, vi } from 'vitest';
import { chain, type Commands, Graph, solveAll, type Text, TextRunner } from './solved.fixture.ts';

class Exit extends Error {
  constructor(readonly code: number) {
    super(`exit code: ${code}`);
  }
}

interface Build {
  readonly store: MemoryCacheStore;
  readonly ran: readonly string[];
  readonly events: readonly BuildEvent[];
  readonly ended: Promise<readonly Text[]>;
  readonly cancel: () => void;
  /** how each step came about, by name */
  outcomes(): Readonly<Record<string, string>>;
}

interface Options {
  readonly scopes?: readonly [string, ...string[]];
  readonly parallelism?: number;
}

/** Builds that see each other's flights and records. */
class Farm {
  readonly records = new MemoryRecords();
  readonly #exits = new Map<string, number>();

  build(definition: Definition, commands: Commands = {}, { scopes = ['main'], parallelism = 4 }: Options = {}): Build {
    const store = this.records.open('project', scopes);
    const runner = new TextRunner(commands);
    const events: BuildEvent[] = [];
    const stop = new AbortController();
    const stepOf = (buildId: string, vertex: string): string => `${buildId} ${vertex}`;
    runner.exitCode = (thrown) => (thrown instanceof Exit ? thrown.code : undefined);
    runner.follow = async (_vertex, { key, flight }, signal) => {
      while (await store.flights.isInAir(key, flight)) await systemClock.sleep(1, signal);
      const code = this.#exits.get(stepOf(flight.buildId, flight.vertex));
      if (code !== undefined) throw new Exit(code);
      return true;
    };
    const report = (event: BuildEvent): void => {
      events.push(event);
      if (event.type === 'vertexFailed' && event.exitCode !== undefined)
        this.#exits.set(stepOf(store.flights.buildId, event.vertex), event.exitCode);
    };
    const common = { definition, runner, clock: systemClock, report, parallelism, signal: stop.signal };
    const ended = solveAll({ ...common, cache: store, flights: store.flights });
    ended.catch(() => undefined);
    const outcomes = (): Readonly<Record<string, string>> =>
      Object.fromEntries(
        events.flatMap((event) =>
          event.type === 'vertexDone' && event.outcome !== 'done'
            ? [[definition.vertices.get(event.vertex)?.label.name ?? '', event.outcome]]
            : [],
        ),
      );
    return { store, ran: runner.ran, events, ended, cancel: () => stop.abort(new Error('cancelled')), outcomes };
  }
}

/** A command that says when it has begun, and ends when it is let. */
function gate() {
  const begun = Promise.withResolvers<void>();
  const open = Promise.withResolvers<string>();
  return {
    begun: begun.promise,
    open,
    command: () => {
      begun.resolve();
      return open.promise;
    },
  };
}

const isWaiting = ({ events }: Build): boolean => events.some((event) => event.type === 'vertexStarted');

describe('the same steps in several builds at once', () => {
  it('run once, and all builds have the same results', async () => {
    const farm = new Farm();
    const slow = () => systemClock.sleep(5).then(() => 'made');
    const builds = Array.from({ length: 10 }, () => farm.build(chain(['a', 'b', 'c']), { a: slow, b: slow, c: slow }));
    const roots = await Promise.all(builds.map(({ ended }) => ended));
    expect(builds.flatMap(({ ran }) => ran).toSorted()).toEqual(['a', 'b', 'c']);
    expect(new Set(roots.flat().map(({ id }) => id)).size).toBe(1);
    expect(builds.flatMap((build) => Object.values(build.outcomes())).toSorted()).toEqual([
      ...Array<string>(27).fill('joined'),
      ...Array<string>(3).fill('run'),
    ]);
    expect(farm.records.flights).toEqual([]);
  });

  it('count as saved what they cost, less what was waited for', async () => {
    const farm = new Farm();
    const step = gate();
    const first = farm.build(chain(['a']), { a: step.command });
    await step.begun;
    const second = farm.build(chain(['a']));
    await vi.waitUntil(() => isWaiting(second));
    step.open.resolve('a');
    await Promise.all([first.ended, second.ended]);
    const done = second.events.find((event) => event.type === 'vertexDone' && event.outcome === 'joined');
    expect(done).toMatchObject({ hit: { key: 'definition', buildId: 'b', scope: 'main', savedMs: 0 } });
  });

  it('hold none of a build’s slots while it waits', async () => {
    const farm = new Farm();
    const step = gate();
    const first = farm.build(chain(['shared']), { shared: step.command });
    await step.begun;
    const graph = new Graph();
    const both = graph.run('both', [graph.run('shared', [graph.image()]), graph.run('own', [graph.image()])]);
    const second = farm.build(graph.builder.finish(both), {}, { parallelism: 1 });
    await vi.waitUntil(() => second.ran.includes('own'));
    step.open.resolve('shared');
    await Promise.all([first.ended, second.ended]);
    expect(second.outcomes()).toEqual({ shared: 'joined', own: 'run', both: 'run' });
  });

  it('are looked up once more by who has not looked for long', async () => {
    const farm = new Farm();
    const step = gate();
    const graph = new Graph();
    const both = graph.run('both', [graph.run('own', [graph.image()]), graph.run('shared', [graph.image()])]);
    const late = farm.build(graph.builder.finish(both), { own: step.command }, { parallelism: 1 });
    await step.begun;
    await farm.build(chain(['shared'])).ended;
    step.open.resolve('own');
    await late.ended;
    expect(late.outcomes()).toEqual({ own: 'run', shared: 'hit', both: 'run' });
    expect(farm.records.flights).toEqual([]);
  });
});

describe('a build that runs a step for others', () => {
  async function pair(commands: Commands = {}) {
    const farm = new Farm();
    const step = gate();
    const owner = farm.build(chain(['a', 'b']), { a: step.command });
    await step.begun;
    const others = [1, 2, 3].map(() => farm.build(chain(['a', 'b']), commands));
    await vi.waitUntil(() => others.every(isWaiting));
    return { farm, step, owner, others };
  }
  const counted = (others: readonly Build[]): readonly string[] => others.flatMap(({ ran }) => ran).toSorted();

  it('fails for all where the step itself fails', async () => {
    const { farm, step, owner, others } = await pair();
    step.open.reject(new Exit(3));
    for (const { ended } of [owner, ...others])
      await expect(ended).rejects.toMatchObject({ vertex: { label: { name: 'a' } }, cause: { code: 3 } });
    expect(counted(others)).toEqual([]);
    expect(others[0]?.events.at(-1)).toMatchObject({ type: 'vertexFailed', exitCode: 3 });
    expect(farm.records.flights).toEqual([]);
    // A failure is nothing to be remembered: the next build tries.
    expect((await farm.build(chain(['a'])).ended)[0]?.text).toBe('a(base)');
  });

  it('fails alone for any other reason, and one of the others goes on', async () => {
    const { step, owner, others } = await pair();
    step.open.reject(new KilnError('SANDBOX_FAILED', 'no sandbox'));
    await expect(owner.ended).rejects.toMatchObject({ cause: { message: 'no sandbox' } });
    await Promise.all(others.map(({ ended }) => ended));
    expect(counted(others)).toEqual(['a', 'b']);
  });

  it('is cancelled alone, and one of the others goes on', async () => {
    const { step, owner, others } = await pair();
    owner.cancel();
    step.open.reject(new Error('killed'));
    await expect(owner.ended).rejects.toThrow('cancelled');
    await Promise.all(others.map(({ ended }) => ended));
    expect(counted(others)).toEqual(['a', 'b']);
  });

  it('that is lost makes room, and cannot save what it has made', async () => {
    const { step, owner, others } = await pair();
    owner.store.lose();
    await Promise.all(others.map(({ ended }) => ended));
    expect(counted(others)).toEqual(['a', 'b']);
    step.open.resolve('late');
    await expect(owner.ended).rejects.toMatchObject({ cause: { code: 'FENCED' } });
  });

  it('that cannot save the result makes room', async () => {
    const { step, owner, others } = await pair();
    owner.store.save = () => Promise.reject(new KilnError('UPSTREAM_UNAVAILABLE', 'no store'));
    step.open.resolve('unsaved');
    await expect(owner.ended).rejects.toMatchObject({ cause: { message: 'no store' } });
    await Promise.all(others.map(({ ended }) => ended));
    expect(counted(others)).toEqual(['a', 'b']);
  });

  it('leaves its place to those who wait, who leave theirs when they are cancelled', async () => {
    const { step, owner, others } = await pair();
    others[0]?.cancel();
    await expect(others[0]?.ended).rejects.toThrow('cancelled');
    step.open.resolve('a');
    await Promise.all([owner, ...others.slice(1)].map(({ ended }) => ended));
    expect(counted([owner, ...others])).toEqual(['a', 'b']);
  });

  it('is not believed for ever: a step that many have left is run without asking', async () => {
    const farm = new Farm();
    const build = farm.build(chain(['a']));
    const flight = { buildId: 'x', fence: 1, attempt: 1, vertex: chain(['a']).roots[0]?.vertex ?? '', afterSeq: 0 };
    const board = vi.fn(async () => ({ role: 'passenger', flight }) as never);
    build.store.flights.board = board;
    await build.ended;
    expect([build.ran, board.mock.calls.length]).toEqual([['a'], 4]);
  });
});

describe('--no-cache', () => {
  it('twice at once runs twice; who takes what there is joins', async () => {
    const farm = new Farm();
    const [one, two] = [gate(), gate()];
    const anew = () => chain(['a', 'b'], { ignore: 'a' });
    const first = farm.build(anew(), { a: one.command });
    await one.begun;
    const second = farm.build(anew(), { a: two.command });
    await two.begun;
    const plain = farm.build(chain(['a', 'b']));
    await vi.waitUntil(() => isWaiting(plain));
    two.open.resolve('a');
    await second.ended;
    expect(plain.ran).toEqual([]);
    one.open.resolve('a');
    await Promise.all([first.ended, plain.ended]);
    expect([first.outcomes()['a'], second.outcomes()['a'], plain.outcomes()['a']]).toEqual(['run', 'run', 'joined']);
  });

  it('makes what stands on it run alone: others cannot expect its results under the same key', async () => {
    const farm = new Farm();
    const step = gate();
    const first = farm.build(chain(['a', 'b'], { ignore: 'a' }), { a: () => 'other', b: step.command });
    await step.begun;
    const second = farm.build(chain(['a', 'b']), { a: () => 'a', b: () => 'b' });
    await second.ended;
    expect(second.outcomes()['b']).toBe('run');
    step.open.resolve('b');
    await first.ended;
  });
});

describe('scopes', () => {
  const pr = { scopes: ['pr', 'main'] } as const;

  it('a build joins what it may read', async () => {
    const farm = new Farm();
    const step = gate();
    const main = farm.build(chain(['a']), { a: step.command });
    await step.begun;
    const other = farm.build(chain(['a']), {}, pr);
    await vi.waitUntil(() => isWaiting(other));
    step.open.resolve('a');
    await Promise.all([main.ended, other.ended]);
    expect(other.outcomes()).toEqual({ a: 'joined' });
  });

  it('and never what it may not read', async () => {
    const farm = new Farm();
    const step = gate();
    const other = farm.build(chain(['a']), { a: step.command }, pr);
    await step.begun;
    const main = farm.build(chain(['a']));
    await main.ended;
    expect(main.outcomes()).toEqual({ a: 'run' });
    step.open.resolve('a');
    await other.ended;
  });

  it('a result on other parents than this build has is not taken', async () => {
    const farm = new Farm();
    await farm.build(chain(['a']), { a: () => 'of the pull request' }, pr).ended;
    const step = gate();
    const main = farm.build(chain(['a', 'b']), { a: () => 'of main', b: step.command });
    await step.begun;
    const other = farm.build(chain(['a', 'b']), {}, pr);
    await vi.waitUntil(() => isWaiting(other));
    step.open.resolve('b');
    await Promise.all([main.ended, other.ended]);
    expect(other.outcomes()).toEqual({ a: 'hit', b: 'run' });
  });
});

import type { CacheStore, ResultId } from '#cache';
import { type Definition } from '#graph';
import { digestOf, samePlatform } from '#oci';
import { KilnError, systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import { ResultLost } from './vertex-failure.ts';
import { arm64, Graph, type Commands, TextRunner, memoryCache, solveAll } from './solved.fixture.ts';

describe('steps that run elsewhere', () => {
  interface Delegated {
    readonly steps: readonly string[];
    readonly ran: readonly string[];
  }

  /** Solves with another node for arm64, which is there as long as `there` says. */
  async function farm(
    definition: Definition,
    cache: CacheStore,
    there: () => boolean = () => true,
    commands?: Commands,
  ) {
    const here = new TextRunner(commands);
    const parts: Delegated[] = [];
    const given: (string | undefined)[] = [];
    here.place = async ({ op, platform: wanted }) =>
      op.kind === 'exec' && samePlatform(wanted, arm64) && there() ? 'elsewhere' : 'here';
    here.delegate = async (part, signal) => {
      if (!there()) return false;
      const runner = new TextRunner(commands);
      const { definition: below, results, steps } = part;
      const report = (): void => undefined;
      await solveAll({ definition: below, runner, cache, clock: systemClock, report, parallelism: 4, results, signal });
      const names = [...below.vertices.values()]
        .filter(({ digest }) => steps.has(digest))
        .map((each) => each.label.name);
      parts.push({ steps: names, ran: runner.ran });
      given.push(...[...results.keys()].map((digest) => below.vertices.get(digest)?.label.name));
      return true;
    };
    const signal = new AbortController().signal;
    const report = (): void => undefined;
    const roots = await solveAll({
      definition,
      runner: here,
      cache,
      clock: systemClock,
      report,
      parallelism: 4,
      signal,
    });
    return { roots, ran: here.ran, parts, given };
  }

  /** A stage for each platform, on tools that are made once. */
  function cross(ignoreCache = false): Definition {
    const graph = new Graph();
    const tools = graph.run('tools', [graph.image()], { ignoreCache });
    const own = graph.run('test', [graph.run('build', [graph.image(), tools])]);
    const first = graph.run('arm one', [graph.image('arm base')], { on: arm64, ignoreCache });
    const second = graph.run('arm two', [graph.make('/between', first), tools], { on: arm64, ignoreCache });
    return graph.builder.finish(own, graph.make('/last', second));
  }

  it('go in as few parts as their inputs allow, and what everyone can do stays', async () => {
    const cache = memoryCache();
    const wait = { tools: () => systemClock.sleep(20).then(() => 'tools') };
    const { ran, parts } = await farm(cross(), cache, undefined, wait);
    // While the tools are not there, only the first can go; what is between runs where it is needed.
    expect(ran.toSorted()).toEqual(['/between', '/last', 'build', 'test', 'tools'].toSorted());
    expect(parts).toEqual([
      { steps: ['arm one'], ran: ['arm one'] },
      { steps: ['arm two'], ran: ['arm two'] },
    ]);
  });

  it('go together where nothing else is waited for', async () => {
    const graph = new Graph();
    const first = graph.run('one', [graph.image('arm base')], { on: arm64 });
    const second = graph.run('two', [graph.make('/between', first)], { on: arm64 });
    const { ran, parts } = await farm(graph.builder.finish(graph.make('/last', second)), memoryCache());
    expect(ran).toEqual(['/last']);
    expect(parts).toEqual([{ steps: ['one', '/between', 'two'], ran: ['one', '/between', 'two'] }]);
  });

  it('stand on linked copies, which are none of their results but of what these merge', async () => {
    const cache = memoryCache();
    const build = (ignoreCache: boolean): Definition => {
      const graph = new Graph();
      const first = graph.run('one', [graph.link('early', graph.image('arm base'))], { on: arm64 });
      const second = graph.run('two', [graph.link('late', first, ignoreCache)], { on: arm64, ignoreCache });
      return graph.builder.finish(second);
    };
    const { ran, parts, given } = await farm(build(false), cache);
    expect(ran.toSorted()).toEqual(['early', 'late']);
    expect(given).toContain('early');
    expect(given.filter((name) => name?.startsWith('LINK'))).toEqual([]);
    expect(parts.flatMap((part) => part.ran)).toEqual(['one', 'two']);
    const again = await farm(build(true), cache, undefined, { late: () => 'later' });
    expect([again.ran, again.parts]).toEqual([['late'], [{ steps: ['two'], ran: ['two'] }]]);
  });

  it('may be found by content, also where no step like them was known when the build began', async () => {
    const cache = memoryCache();
    const commands: Commands = { other: () => 'same', one: () => 'same' };
    const build = (name: string, tools: boolean): Definition => {
      const graph = new Graph();
      const below = tools ? [graph.image('arm base'), graph.run('tools', [graph.image()])] : [graph.image('arm base')];
      return graph.builder.finish(graph.run('two', [graph.run(name, below, { on: arm64 })], { on: arm64 }));
    };
    const tools = async (): Promise<string> => {
      await farm(build('other', false), cache, undefined, commands);
      return 'tools';
    };
    const { parts } = await farm(build('one', true), cache, undefined, { ...commands, tools });
    expect(parts).toEqual([{ steps: ['one', 'two'], ran: ['one'] }]);
  });

  it('stand on what they were given, whatever that itself was found to stand on', async () => {
    const cache = memoryCache();
    const commands: Commands = { first: () => 'same', second: () => 'same' };
    const build = (name: string): Definition => {
      const graph = new Graph();
      const below = graph.run(name, [graph.image(`base of ${name}`)]);
      const found = graph.run('found', [below]);
      return graph.builder.finish(graph.run('arm', [graph.image('arm base'), found, below], { on: arm64 }));
    };
    await farm(build('first'), cache, undefined, commands);
    const { ran, parts } = await farm(build('second'), cache, undefined, { ...commands, arm: () => 'other' });
    expect(ran).toEqual(['second']);
    expect(parts.flatMap((part) => part.ran).filter((name) => name !== 'arm')).toEqual([]);
  });

  it('do not run on anything else once what they were given is lost', async () => {
    const cache = memoryCache();
    const graph = new Graph();
    const tools = graph.run('tools', [graph.image()]);
    const arm = graph.run('arm', [graph.image('arm base'), tools], { on: arm64 });
    const definition = graph.builder.finish(arm);
    const runner = new TextRunner();
    const solving = solveAll({
      definition,
      runner,
      cache,
      clock: systemClock,
      report: () => undefined,
      parallelism: 4,
      results: new Map([[tools.vertex, digestOf('gone') as ResultId]]),
      signal: new AbortController().signal,
    });
    await expect(solving).rejects.toBeInstanceOf(ResultLost);
    expect(runner.ran).toEqual([]);
  });

  it('are lost, and not an error of the farm, where nobody recorded them', async () => {
    const runner = new TextRunner();
    runner.place = async ({ platform: wanted }) => (samePlatform(wanted, arm64) ? 'elsewhere' : 'here');
    runner.delegate = async () => true;
    const graph = new Graph();
    const definition = graph.builder.finish(graph.run('arm', [graph.image('arm base')], { on: arm64 }));
    const solving = solveAll({
      ...{ definition, runner, cache: memoryCache(), clock: systemClock, parallelism: 4 },
      report: () => undefined,
      signal: new AbortController().signal,
    });
    await expect(solving).rejects.toMatchObject({ cause: { constructor: ResultLost } });
  });

  it('are all made, also where a later one has a record of what is lost', async () => {
    const cache = memoryCache();
    let round = 0;
    const commands = { one: () => `one ${round}` };
    const build = (more: boolean): Definition => {
      const graph = new Graph();
      const one = graph.run('one', [graph.image('arm base')], { on: arm64 });
      const two = graph.run('two', [one], { on: arm64 });
      return more ? graph.builder.finish(two, graph.run('three', [graph.image(), one])) : graph.builder.finish(two);
    };
    await farm(build(false), cache, undefined, commands);
    const lost = digestOf('one 0');
    const lacking: CacheStore = {
      ...cache,
      lookup: async (keys, ops) => {
        const { records, ops: known } = await cache.lookup(keys, ops);
        const left = [...records].map(
          ([key, found]) => [key, found.filter(({ result }) => result.tree !== lost)] as const,
        );
        return { records: new Map(left), ops: known };
      },
    };
    round = 1;
    const { ran, parts } = await farm(build(true), lacking, undefined, commands);
    expect(ran).toEqual(['three']);
    expect(parts).toEqual([{ steps: ['one', 'two'], ran: ['one', 'two'] }]);
  });

  it('are hits for the next build, which asks nobody', async () => {
    const cache = memoryCache();
    await farm(cross(), cache);
    const again = await farm(cross(), cache);
    expect([again.ran, again.parts]).toEqual([[], []]);
  });

  it('without the cache run once more, each once, on what this build made', async () => {
    const cache = memoryCache();
    let round = 0;
    const commands = { tools: () => `tools ${round}`, 'arm two': (on: readonly string[]) => `two on ${on.join()}` };
    await farm(cross(), cache, undefined, commands);
    round = 1;
    const { ran, parts } = await farm(cross(true), cache, undefined, commands);
    expect(ran).toContain('tools');
    expect(parts.flatMap((part) => part.ran).toSorted()).toEqual(['arm one', 'arm two'].toSorted());
  });

  it('run here when the other node has gone', async () => {
    let asked = 0;
    const { ran, parts } = await farm(cross(), memoryCache(), () => asked++ === 0);
    expect(parts).toEqual([]);
    expect(ran).toContain('arm two');
  });

  it('are refused before anything runs where nobody can run them', async () => {
    const runner = new TextRunner();
    runner.place = ({ platform: { architecture } }) =>
      architecture === 'arm64'
        ? Promise.reject(new KilnError('PLATFORM_UNAVAILABLE', 'nobody'))
        : Promise.resolve('here');
    const solving = solveAll({
      definition: cross(),
      runner,
      cache: memoryCache(),
      clock: systemClock,
      report: () => undefined,
      parallelism: 4,
      signal: new AbortController().signal,
    });
    await expect(solving).rejects.toMatchObject({
      vertex: { label: { name: 'arm one' } },
      cause: { message: 'nobody' },
    });
    expect(runner.ran).toEqual([]);
  });
});

import type { StepRun } from '#cache';
import { type Definition } from '#graph';
import { digestOf } from '#oci';
import type { BuildEvent } from '#protocol';
import { KilnError, systemClock } from '#std';
import { StepClock } from '#testing';
import { describe, expect, it } from 'vitest';
import { VertexFailure } from './vertex-failure.ts';
import { Graph, type Commands, TextRunner, memoryCache, run, chain, solveAll } from './solved.fixture.ts';

describe('solve', () => {
  it('runs everything once, then nothing, asking the cache once', async () => {
    const cache = memoryCache();
    expect((await run(chain(['a', 'b', 'c']), cache)).ran).toEqual(['a', 'b', 'c']);
    cache.lookups = 0;
    const again = await run(chain(['a', 'b', 'c']), cache);
    expect(again.ran).toEqual([]);
    expect(cache.lookups).toBe(1);
    const hits = again.events.filter((event) => event.type === 'vertexDone' && event.outcome === 'hit');
    expect(hits).toHaveLength(3);
  });

  it('runs only what a change reaches', async () => {
    const cache = memoryCache();
    await run(chain(['a', 'b', 'c']), cache);
    expect((await run(chain(['a', 'x', 'c']), cache)).ran).toEqual(['x', 'c']);
  });

  it('stops at a step that made the same tree: what follows is found by content', async () => {
    const cache = memoryCache();
    const commands = { a: () => 'same', x: () => 'same' };
    await run(chain(['a', 'b']), cache, commands);
    const changed = await run(chain(['x', 'b']), cache, commands);
    expect(changed.ran).toEqual(['x']);
    const last = changed.events.findLast((event) => event.type === 'vertexDone');
    expect(last).toMatchObject({ outcome: 'hit', hit: { key: 'content' } });
    // The definition key was added, so the next build needs one look-up.
    expect((await run(chain(['x', 'b']), cache, commands)).ran).toEqual([]);
  });

  it('with --no-cache runs anew, and what follows only where the tree differs', async () => {
    const cache = memoryCache();
    let run1 = 0;
    const commands = { a: () => `a${run1}`, b: () => 'b' };
    await run(chain(['a', 'b', 'c']), cache, commands);
    expect((await run(chain(['a', 'b', 'c'], { ignore: 'a' }), cache, commands)).ran).toEqual(['a']);
    run1++;
    expect((await run(chain(['a', 'b', 'c'], { ignore: 'a' }), cache, commands)).ran).toEqual(['a', 'b']);
  });

  it('tells what each step gave that ran, by the contents of its inputs, before that is saved', async () => {
    const cache = memoryCache();
    const told: (readonly [string, boolean])[] = [];
    const keys = new Map<string, string>();
    const onRan = async ({ name, key, tree }: StepRun): Promise<void> => {
      expect(tree).toBe(digestOf(`${name}!`));
      expect(keys.get(name) ?? key).toBe(key);
      keys.set(name, key);
      told.push([name, (await cache.lookup([key], [])).records.has(key)]);
    };
    const solveOnce = async (ignore?: string): Promise<void> => {
      const runner = new TextRunner({ a: () => 'a!', b: () => 'b!' });
      const definition = chain(['a', 'b'], ignore === undefined ? {} : { ignore });
      const { signal } = new AbortController();
      await solveAll({
        definition,
        runner,
        cache,
        clock: systemClock,
        report: () => {},
        parallelism: 4,
        onRan,
        signal,
      });
    };
    await solveOnce();
    await solveOnce();
    expect(told.splice(0)).toEqual([
      ['a', false],
      ['b', false],
    ]);
    await solveOnce('a');
    expect(told).toEqual([['a', true]]);
  });

  it('runs a step again once its time to live is over, and keeps what gave the same', async () => {
    const cache = memoryCache();
    const clock = new StepClock();
    const { signal } = new AbortController();
    const graph = (): Definition => {
      const steps = new Graph();
      const update = steps.run('update', [steps.image()], { ttlMs: 50 });
      return steps.builder.finish(steps.run('install', [steps.run('between', [update])]));
    };
    let index = 'old';
    const commands = { update: () => index };
    const at = async (nowMs: number): Promise<readonly string[]> => {
      clock.now = nowMs;
      return (await run(graph(), cache, commands, signal, clock)).ran;
    };
    expect(await at(1000)).toEqual(['update', 'between', 'install']);
    expect(await at(1049)).toEqual([]);
    expect(await at(1050)).toEqual(['update']);
    expect(await at(1099)).toEqual([]);
    index = 'new';
    expect(await at(1200)).toEqual(['update', 'between', 'install']);
    expect(await at(1249)).toEqual([]);
  });

  it('runs independent stages at the same time', async () => {
    const graph = new Graph();
    const base = graph.image();
    const both = graph.run('join', [graph.run('left', [base]), graph.run('right', [base])]);
    const met = Promise.withResolvers<void>();
    let waiting = 0;
    const meet = async (): Promise<string> => {
      if (++waiting === 2) met.resolve();
      await met.promise;
      return 'met';
    };
    expect((await run(graph.builder.finish(both), memoryCache(), { left: meet, right: meet })).root.text).toBe(
      'join(met,met)',
    );
  });

  it('names the step that failed, once, and stops the others', async () => {
    const graph = new Graph();
    const base = graph.image();
    const started = Promise.withResolvers<void>();
    const commands: Commands = {
      bad: async () => {
        await started.promise;
        throw new KilnError('STEP_FAILED', 'exit code: 1');
      },
      slow: async () => {
        started.resolve();
        await systemClock.sleep(20);
        return 'slow';
      },
    };
    const definition = graph.builder.finish(
      graph.run('join', [graph.run('bad', [base]), graph.run('after slow', [graph.run('slow', [base])])]),
    );
    const runner = new TextRunner(commands);
    const events: BuildEvent[] = [];
    const solving = solveAll({
      definition,
      runner,
      cache: memoryCache(),
      clock: systemClock,
      report: (event) => void events.push(event),
      parallelism: 4,
      signal: new AbortController().signal,
    });
    const failure: unknown = await solving.catch((thrown: unknown) => thrown);
    expect(failure).toBeInstanceOf(VertexFailure);
    expect(failure).toMatchObject({ vertex: { label: { name: 'bad' } }, cause: { code: 'STEP_FAILED' } });
    expect(events.filter((event) => event.type === 'vertexFailed')).toHaveLength(1);
    expect(runner.ran).not.toContain('after slow');
    expect(runner.ran).not.toContain('join');
  });

  it('records nothing of a step that failed', async () => {
    const cache = memoryCache();
    const bad = { b: () => Promise.reject(new KilnError('STEP_FAILED', 'no')) };
    await expect(run(chain(['a', 'b']), cache, bad)).rejects.toThrow('no');
    expect((await run(chain(['a', 'b']), cache)).ran).toEqual(['b']);
  });

  it('ends with the reason of its signal', async () => {
    const stop = new AbortController();
    const commands = { a: () => (stop.abort(new KilnError('CANCELLED', 'by the user')), 'a') };
    await expect(run(chain(['a', 'b']), memoryCache(), commands, stop.signal)).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });

  describe('merges', () => {
    /** base → a → LINK f → b → LINK g */
    const linked = (options: { base?: string; a?: string; ignore?: string } = {}): Definition => {
      const graph = new Graph();
      const a = graph.run(options.a ?? 'a', [graph.image(options.base)], { ignoreCache: options.ignore === 'a' });
      const b = graph.run('b', [graph.link('f', a, options.ignore === 'f')], { ignoreCache: options.ignore === 'b' });
      return graph.builder.finish(graph.link('g', b));
    };

    it('run nothing, count as no step, and ask for nothing', async () => {
      const cache = memoryCache();
      const first = await run(linked(), cache);
      expect(first.ran.toSorted()).toEqual(['a', 'b', 'f', 'g']);
      expect(first.root.text).toBe('b(a(base)+f(empty))+g(empty)');
      expect(first.events.filter((event) => event.type === 'vertexDone' && event.outcome === 'run')).toHaveLength(4);
      cache.lookups = 0;
      const again = await run(linked(), cache);
      expect(again.ran).toEqual([]);
      expect(cache.lookups).toBe(1);
      const done = again.events.flatMap((event) => (event.type === 'vertexDone' ? [event.outcome] : []));
      expect(done.toSorted()).toEqual(['done', 'done', 'done', 'done', 'hit', 'hit', 'hit', 'hit']);
    });

    it('let a linked copy hit on whatever is below', async () => {
      const cache = memoryCache();
      await run(linked(), cache);
      const rebased = await run(linked({ base: 'newer' }), cache);
      expect(rebased.ran).toEqual(['a', 'b']);
      const changed = await run(linked({ a: 'x' }), cache);
      expect(changed.ran).toEqual(['x', 'b']);
    });

    it('need nothing below a hit on them, and fix both results that they merge', async () => {
      const cache = memoryCache();
      await run(linked(), cache);
      const graph = new Graph();
      const merged = graph.link('f', graph.run('a', [graph.image()]));
      const again = await run(graph.builder.finish(graph.run('b', [merged])), cache);
      expect(again.ran).toEqual([]);
      expect(again.events.some((event) => event.type === 'vertexStarted')).toBe(false);
    });

    it('take nothing by definition above a step that runs anew, on either side', async () => {
      const cache = memoryCache();
      let run1 = 0;
      const commands: Commands = { a: () => `a${run1}`, f: () => `f${run1}` };
      await run(linked(), cache, commands);
      // The same trees again: what stands on them is found by content.
      expect((await run(linked({ ignore: 'a' }), cache, commands)).ran).toEqual(['a']);
      expect((await run(linked({ ignore: 'f' }), cache, commands)).ran).toEqual(['f']);
      run1++;
      expect((await run(linked({ ignore: 'f' }), cache, commands)).ran).toEqual(['f', 'b']);
      expect((await run(linked({ ignore: 'a' }), cache, commands)).ran).toEqual(['a', 'b']);
    });
  });
});

describe('several roots', () => {
  it('are solved in their order, and what they share runs once', async () => {
    const graph = new Graph();
    const shared = graph.run('shared', [graph.image()]);
    const definition = graph.builder.finish(graph.run('two', [shared]), graph.run('one', [shared]), shared);
    const { roots, ran } = await run(definition, memoryCache());
    expect(roots.map(({ text }) => text)).toEqual(['two(shared(base))', 'one(shared(base))', 'shared(base)']);
    expect(ran.filter((name) => name === 'shared')).toHaveLength(1);
  });
});

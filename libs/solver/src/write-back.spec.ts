import type { CacheStore } from '#cache';
import type { BuildEvent } from '#protocol';
import { KilnError, systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import { type Solved, solve } from './solve.ts';
import { chain, type Commands, memoryCache, run, type Text, TextRunner } from './solved.fixture.ts';
import { VertexFailure } from './vertex-failure.ts';

describe('what is stored beside a build', () => {
  function solving(
    cache: CacheStore,
    { commands, signal = new AbortController().signal }: { commands?: Commands; signal?: AbortSignal } = {},
  ): { readonly ended: Promise<Solved<Text>>; readonly events: BuildEvent[] } {
    const events: BuildEvent[] = [];
    const report = (event: BuildEvent): void => void events.push(event);
    const runner = new TextRunner(commands);
    const definition = chain(['a', 'b']);
    const ended = solve({ definition, runner, cache, clock: systemClock, report, parallelism: 4, signal });
    return { ended, events };
  }

  /** A cache that saves when it is let, and says which results wait. */
  function slowly(cache: CacheStore): { readonly slow: CacheStore; readonly go: PromiseWithResolvers<void> } {
    const go = Promise.withResolvers<void>();
    const slow: CacheStore = {
      ...cache,
      lookup: (...asked) => cache.lookup(...asked),
      save: async (keys, result, confirmedAtMs, signal) => {
        const aborted = Promise.withResolvers<never>();
        signal?.addEventListener('abort', () => aborted.reject(signal.reason));
        await Promise.race([go.promise, aborted.promise]);
        return await cache.save(keys, result, confirmedAtMs, signal);
      },
    };
    return { slow, go };
  }

  it('is not waited for by what was asked for, and is there once it has settled', async () => {
    const cache = memoryCache();
    const { slow, go } = slowly(cache);
    await using solved = await solving(slow).ended;
    expect(solved.roots.map(({ text }) => text)).toEqual(['b(a(base))']);
    expect((await run(chain(['a', 'b']), cache)).ran).toEqual(['a', 'b']);
    go.resolve();
    await solved.settled();
    expect((await run(chain(['a', 'b']), cache)).ran).toEqual([]);
  });

  it('is stored whole where a later step fails', async () => {
    const cache = memoryCache();
    const { slow, go } = slowly(cache);
    const bad = { b: () => Promise.reject(new KilnError('STEP_FAILED', 'no')) };
    const { ended, events } = solving(slow, { commands: bad });
    const failed = ended.catch((thrown: unknown) => thrown);
    while (!events.some(({ type }) => type === 'vertexFailed')) await systemClock.sleep(1);
    go.resolve();
    expect(await failed).toMatchObject({ vertex: { label: { name: 'b' } } });
    expect((await run(chain(['a', 'b']), cache)).ran).toEqual(['b']);
  });

  it('fails by the name of its step, which has ended well all the same', async () => {
    const cache = { ...memoryCache(), save: () => Promise.reject(new KilnError('UNAVAILABLE', 'full')) };
    const { ended, events } = solving({ ...cache, lookup: (...asked) => memoryCache().lookup(...asked) });
    await using solved = await ended;
    await expect(solved.settled()).rejects.toBeInstanceOf(VertexFailure);
    expect(solved.failure()).toMatchObject({ vertex: { label: { name: 'a' } }, cause: { message: 'full' } });
    expect(events.filter(({ type }) => type === 'vertexFailed')).toEqual([]);
    expect(events.filter(({ type }) => type === 'vertexDone').length).toBeGreaterThan(1);
  });

  it('is given up when nobody waits for it any more, or the build is cancelled', async () => {
    const cache = memoryCache();
    const { slow, go } = slowly(cache);
    await (await solving(slow).ended)[Symbol.asyncDispose]();
    const stop = new AbortController();
    await using solved = await solving(slow, { signal: stop.signal }).ended;
    stop.abort(new KilnError('CANCELLED', 'by the user'));
    await expect(solved.settled()).rejects.toThrow('by the user');
    go.resolve();
    await systemClock.sleep(5);
    expect((await run(chain(['a', 'b']), cache)).ran).toEqual(['a', 'b']);
  });
});

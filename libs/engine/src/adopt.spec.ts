import { type CacheRecord, type Result, type ResultId } from '#cache';
import { digestOf } from '#oci';
import { systemClock } from '#std';
import { describe, expect, it } from 'vitest';
import type { TreeRef } from './ref.ts';
import { EngineRunner, type RunnerOptions } from './runner.ts';

const layer = (name: string): Result['layers'][number] => {
  const descriptor = { mediaType: 'x', digest: digestOf(name), size: 1 };
  return { descriptor, diffId: digestOf(`${name} diff`), delta: { ...descriptor, digest: digestOf(`${name} delta`) } };
};

const found: CacheRecord = {
  key: digestOf('k') as CacheRecord['key'],
  kind: 'content',
  confirmedAtMs: 1,
  result: {
    id: digestOf('found') as ResultId,
    parents: [digestOf('other parent') as ResultId],
    layers: [layer('other below'), layer('own')],
    tree: digestOf('tree'),
    empty: false,
    costMs: 1,
    startedAtMs: 1,
    finishedAtMs: 2,
    producer: { buildId: 'b', builderId: 'n', scope: 'main' },
  },
};

/** A step's result that this build has made and that is on its way into the store. */
function onItsWay(stored: Promise<void>): TreeRef {
  const id = digestOf('parent') as ResultId;
  const nothing = (): never => {
    throw new Error('not asked for');
  };
  return {
    kind: 'tree',
    id: async () => id,
    results: async () => [id],
    layers: async () => [layer('below')],
    descriptors: async () => [layer('below')],
    stored: () => stored,
    tree: nothing,
    digest: nothing,
    createdAtMs: nothing,
    snapshot: nothing,
  };
}

describe('a result that is found by content', () => {
  // Nothing else of it is used.
  const runner = new EngineRunner({ selections: [] } as unknown as RunnerOptions);

  it('is the own layer on what this build has, once that is stored', async () => {
    const stored = Promise.withResolvers<void>();
    let adopted: Result | undefined;
    const adopting = runner.adopt(found, [onItsWay(stored.promise)]).then((result) => (adopted = result));
    await systemClock.sleep(10);
    expect(adopted).toBeUndefined();
    stored.resolve();
    await adopting;
    expect(adopted?.layers.map(({ descriptor }) => descriptor.digest)).toEqual([digestOf('below'), digestOf('own')]);
    expect(adopted?.parents).toEqual([digestOf('parent')]);
  });

  it('is recorded nowhere when that cannot be stored', async () => {
    const failing = Promise.reject(new Error('the store is away'));
    await expect(runner.adopt(found, [onItsWay(failing)])).rejects.toThrow('the store is away');
  });
});

import { type CacheKey, type OpKey, type Result, type ResultId, scratchResultId, stepResultId } from '#cache';
import { digestOf, mediaType } from '#oci';
import fc from 'fast-check';
import type { CacheEntry } from './cache-document.ts';

const blob = (name: string, type: string = mediaType.ociLayerGzip) => ({
  mediaType: type,
  digest: digestOf(name),
  size: name.length,
});

/** A step on another one, or on nothing. */
export function entry(name: string, below?: CacheEntry, { platform = 'linux/amd64', at = 1_767_323_045_000 } = {}) {
  const layer = {
    descriptor: blob(`layer ${name}`),
    diffId: digestOf(`diff ${name}`),
    delta: blob(`delta ${name}`, 'application/vnd.kiln.delta.v1'),
    createdAtMs: at,
  };
  const parents: readonly ResultId[] = [below?.result.id ?? scratchResultId];
  const result: Result = {
    id: stepResultId(parents, layer.descriptor.digest),
    parents,
    layers: [...(below?.result.layers ?? []), layer],
    tree: digestOf(`tree ${name}`),
    empty: false,
    costMs: 12.5,
    startedAtMs: at - 12.5,
    finishedAtMs: at,
    producer: { buildId: 'b', builderId: 'n', scope: 'main' },
  };
  const key = (kind: 'definition' | 'content') => ({
    key: digestOf(`${kind} ${name}`) as CacheKey,
    kind,
    op: digestOf(`op ${name}`) as OpKey,
    platform,
  });
  return { result, keys: [key('definition'), key('content')] } satisfies CacheEntry;
}

/** Graphs of steps: each stands on an earlier one, or on nothing. */
export const graphs: fc.Arbitrary<readonly CacheEntry[]> = fc
  .array(fc.record({ on: fc.nat(20), name: fc.nat(30) }), { minLength: 1, maxLength: 20 })
  .map((steps) => {
    const made: CacheEntry[] = [];
    for (const [at, { on, name }] of steps.entries()) {
      const below = on < at ? made[on] : undefined;
      made.push(entry(`${name} on ${below?.result.id ?? 'nothing'}`, below));
    }
    return [...new Map(made.map((each) => [each.result.id, each])).values()];
  });

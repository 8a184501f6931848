import type { CacheStore } from '#cache';
import type { Definition } from '#graph';
import type { Digest, Layer } from '#oci';
import { solve, type Solved, type SolveOptions } from '#solver';
import type { ContextTrees } from './context-trees.ts';
import { explaining } from './explaining.ts';
import type { ExternalCaches } from './external-caches.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import type { IntermediateImages } from './intermediate-images.ts';
import { bringLayers } from './placed-blobs.ts';
import type { Opened } from './outside.ts';
import { Placement } from './placement.ts';
import type { LocalRef, Ref } from './ref.ts';
import { pinTree } from './part-pins.ts';
import { EngineRunner } from './runner.ts';
import type { StepResults } from './step-results.ts';
import { TreeRefs } from './tree-refs.ts';

export interface Solving extends Opened {
  readonly cache: CacheStore;
  readonly locals: ReadonlyMap<string, LocalRef>;
  readonly contexts: ContextTrees;
  readonly external: ExternalCaches;
  readonly steps: StepResults;
  readonly intermediates: IntermediateImages | undefined;
}

/** The graph to its results: from the cache, from other builds, or by running. */
export function solveOnce(
  node: EngineNode,
  job: BuildJobInput,
  definition: Definition,
  { dockerfile, local, images, content, cache, report, placed, external, steps, intermediates, ...more }: Solving,
): Promise<Solved<Ref>> {
  const bring = (layers: readonly Layer[]): Promise<void> => bringLayers(content, placed, layers, job.signal);
  const refs = new TreeRefs(content, cache, node.materialiser, images, job.signal, bring);
  const placement = new Placement(node.platforms, job.elsewhere, node.clock);
  const { part, flights, signal } = job;
  const isSent = (job.request.contexts['context']?.type ?? 'local') === 'local';
  const runner = new EngineRunner({
    ...node,
    ...job,
    ...more,
    ...{ refs, definition, placement, content },
    pinContext: async () =>
      isSent ? undefined : { tree: await pinTree(local.unfiltered, content, signal), dockerfile: dockerfile.name },
    selections: part?.pins.selections ?? [],
  });
  const { clock, parallelism } = node;
  const explained = job.explain && explaining({ ...node, ...job, ...job.explain, runner, mask: more.logs.mask });
  const onResult: SolveOptions<Ref>['onResult'] = async (vertex, keys, result) => {
    if (external.owns(result)) await cache.save(keys, result, result.finishedAtMs, signal);
    steps.add(vertex, keys, result);
    intermediates?.see(vertex.digest, result.layers);
  };
  const onValue = (vertex: Digest, value: Ref): void => {
    if (value.kind !== 'tree' || intermediates === undefined) return;
    // Who needs the layers hears of what is wrong with them.
    value.descriptors().then(
      (layers) => intermediates.see(vertex, layers),
      () => {},
    );
  };
  return solve({
    ...{ definition, runner, cache, flights, clock, report, parallelism, onResult, onValue, signal },
    explaining: explained,
    onRan: job.onRan,
    results: part?.results,
  });
}

import { mergeResultId, type ResultId, type StoredLayer } from '#cache';
import { applyDelta, type ContentStore, type Tree, treeDigest } from '#content';
import type { Digest, Layer } from '#oci';
import { KilnError, once } from '#std';
import type { Materialiser } from './materialiser.ts';
import type { TreeRef } from './ref.ts';

export interface MergeOptions {
  readonly base: TreeRef;
  /** a copy onto the empty tree: its files are what its one layer puts on the base */
  readonly linked: TreeRef;
  readonly content: ContentStore;
  readonly materialiser: Materialiser;
  readonly bring: (layers: readonly Layer[]) => Promise<void>;
  readonly signal: AbortSignal;
}

/** A tree with the layer of another on top of it. Until a step needs its files it is a list. */
export class MergedTree implements TreeRef {
  readonly kind = 'tree';
  readonly #options: MergeOptions;

  constructor(options: MergeOptions) {
    this.#options = options;
  }

  id = once(async (): Promise<ResultId> => {
    const { base, linked } = this.#options;
    return mergeResultId(await Promise.all([base.id(), linked.id()]));
  });

  results = once(async (): Promise<readonly ResultId[]> => {
    const { base, linked } = this.#options;
    return (await Promise.all([base.results(), linked.results()])).flat();
  });

  layers = once(async (): Promise<readonly StoredLayer[]> => {
    const { base, linked } = this.#options;
    return [...(await base.layers()), top(await linked.layers())];
  });

  descriptors = once(async (): Promise<readonly Layer[]> => {
    const { base, linked } = this.#options;
    return [...(await base.descriptors()), top(await linked.descriptors())];
  });

  async stored(): Promise<void> {
    const { base, linked } = this.#options;
    await Promise.all([base.stored(), linked.stored()]);
  }

  tree = once(async (): Promise<Tree> => {
    const { base, linked } = this.#options;
    return applyDelta(await base.tree(), [...(await linked.tree()).values()]);
  });

  digest = once(async (): Promise<Digest> => treeDigest(await this.tree()));

  /** That of the younger one; an image's own age does not count, as it does not for a step. */
  async createdAtMs(): Promise<number | undefined> {
    const { base, linked } = this.#options;
    const times = (await Promise.all([base.createdAtMs(), linked.createdAtMs()])).filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.max(...times);
  }

  /** The base's, with the layer unpacked on top of it. */
  snapshot = once(async (): Promise<string> => {
    const { base, materialiser, content, bring, signal } = this.#options;
    // Known by its layers then, however it came to be.
    await base.snapshot();
    const open: Parameters<Materialiser['snapshot']>[1] = (layer, each) => content.get(layer.descriptor.digest, each);
    const layers = await this.layers();
    await bring(layers);
    return await materialiser.snapshot(layers, open, signal);
  });
}

function top<L>(layers: readonly L[]): L {
  const layer = layers.at(-1);
  if (layer === undefined) throw new KilnError('INTERNAL', 'a linked copy without a layer');
  return layer;
}

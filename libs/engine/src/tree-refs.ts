import { type Result, imageResultId, type ResultId, scratchResultId, type StoredLayer } from '#cache';
import { applyDelta, type ContentStore, decodeDelta, type Tree, treeDigest } from '#content';
import type { ImageOp } from '#graph';
import { type Descriptor, type Digest, digestOf, type Layer } from '#oci';
import { collect, KilnError, once, single } from '#std';
import type { Images } from './images.ts';
import type { Materialiser } from './materialiser.ts';
import { MergedTree } from './merged-tree.ts';
import type { TreeRef } from './ref.ts';

/** The most that a delta may be when read whole: a layer of about a million files. */
export const DELTA_LIMIT_BYTES = 512 * 1024 * 1024;

export interface DeltaIndex {
  findDeltas(diffIds: readonly Digest[], signal?: AbortSignal): Promise<ReadonlyMap<Digest, Descriptor>>;
  saveDelta(diffId: Digest, delta: Descriptor, signal?: AbortSignal): Promise<void>;
}

export const DELTA_MEDIA_TYPE = 'application/vnd.kiln.delta.v1';

/** Makes the refs of one build that come from elsewhere: images, records, nothing. */
export class TreeRefs {
  constructor(
    readonly content: ContentStore,
    readonly deltas: DeltaIndex,
    readonly materialiser: Materialiser,
    readonly images: Images,
    readonly signal: AbortSignal,
    /** sees to it that layers of records are here before anything stands on them */
    readonly bring: (layers: readonly Layer[]) => Promise<void> = () => Promise.resolve(),
  ) {}

  scratch(): TreeRef {
    const tree: Tree = new Map();
    return {
      kind: 'tree',
      id: () => Promise.resolve(scratchResultId),
      results: () => Promise.resolve([scratchResultId]),
      descriptors: () => Promise.resolve([]),
      layers: () => Promise.resolve([]),
      stored: () => Promise.resolve(),
      tree: () => Promise.resolve(tree),
      digest: () => Promise.resolve(treeDigest(tree)),
      createdAtMs: () => Promise.resolve(undefined),
      snapshot: () => this.materialiser.empty(),
    };
  }

  image(op: ImageOp): TreeRef {
    const open = (layer: Layer, signal: AbortSignal) => this.images.open(op.digest, layer.descriptor, signal);
    const bare = this.images.layersOf(op.digest);
    const descriptors = bare.map((layer) => layer.descriptor);
    const snapshot = once(async () => {
      // Snapshots are found by what the image's config says of its layers.
      await this.images.checkRights(op.digest, descriptors, this.signal);
      return await this.materialiser.snapshot(bare, open, this.signal, true);
    });
    const layers = once(async () => {
      await snapshot();
      // A record that stands on this image is whole only with these.
      await this.images.ensure(op.digest, descriptors, this.signal);
      return this.#withDeltas(bare, () => this.materialiser.restoreDeltas(bare, open, this.signal));
    });
    return { ...this.#ref(imageResultId(op.digest), layers, snapshot), descriptors: () => Promise.resolve(bare) };
  }

  result(result: Result): TreeRef {
    const snapshot = once(async () => {
      await this.bring(result.layers);
      return await this.materialiser.snapshot(
        result.layers,
        (layer, signal) => this.content.get(layer.descriptor.digest, signal),
        this.signal,
      );
    });
    const ref = this.#ref(result.id, () => Promise.resolve(result.layers), snapshot);
    return {
      ...ref,
      digest: () => Promise.resolve(result.tree),
      createdAtMs: () => Promise.resolve(result.finishedAtMs),
    };
  }

  merge(base: TreeRef, linked: TreeRef): TreeRef {
    const { content, materialiser, bring, signal } = this;
    return new MergedTree({ base, linked, content, materialiser, bring, signal });
  }

  /** All files of a stack of layers, from their deltas. */
  async fold(layers: readonly StoredLayer[]): Promise<Tree> {
    let tree: Tree = new Map();
    for (const layer of layers) {
      const bytes = await collect(this.content.get(layer.delta.digest, this.signal), DELTA_LIMIT_BYTES);
      tree = applyDelta(tree, decodeDelta(bytes));
    }
    return tree;
  }

  #ref(id: ResultId, layers: () => Promise<readonly StoredLayer[]>, snapshot: () => Promise<string>): TreeRef {
    const tree = once(async () => this.fold(await layers()));
    const digest = once(async () => treeDigest(await tree()));
    return {
      kind: 'tree',
      id: () => Promise.resolve(id),
      results: () => Promise.resolve([id]),
      descriptors: layers,
      layers,
      stored: async () => void (await layers()),
      tree,
      digest,
      snapshot,
      createdAtMs: () => Promise.resolve(undefined),
    };
  }

  /** Base layers with their deltas: known to the project, or made when this node unpacked them. */
  async #withDeltas(bare: readonly Layer[], restore: () => Promise<void>): Promise<readonly StoredLayer[]> {
    const known = await this.deltas.findDeltas(
      bare.map((layer) => layer.diffId),
      this.signal,
    );
    const recorded = new Set([...known.values()].map((delta) => delta.digest));
    const lost = await this.content.findMissing(recorded, this.signal);
    const stored: StoredLayer[] = [];
    for (const layer of bare) {
      const delta = known.get(layer.diffId);
      if (delta !== undefined && !lost.has(delta.digest)) stored.push({ ...layer, delta });
      else stored.push({ ...layer, delta: await this.#storeDelta(layer, restore) });
    }
    return stored;
  }

  async #storeDelta(layer: Layer, restore: () => Promise<void>): Promise<Descriptor> {
    let bytes = await this.materialiser.delta(layer.diffId);
    if (bytes === undefined) {
      await restore();
      bytes = await this.materialiser.delta(layer.diffId);
    }
    if (bytes === undefined) throw new KilnError('INTERNAL', `the layer ${layer.diffId} has no delta`);
    const delta = { mediaType: DELTA_MEDIA_TYPE, digest: digestOf(bytes), size: bytes.byteLength };
    await this.content.put(single(bytes), delta.digest, this.signal);
    await this.deltas.saveDelta(layer.diffId, delta, this.signal);
    return delta;
  }
}

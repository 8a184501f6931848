import { type CacheRecord, type Producer, type Result, stepResultId, type StoredLayer } from '#cache';
import {
  applyDelta,
  type ContentStore,
  decodeDelta,
  type DeltaEntry,
  encodeDelta,
  equivalentDeltas,
  type Tree,
  treeDigest,
} from '#content';
import { digestOf, type Layer } from '#oci';
import type { Settling } from '#solver';
import { collect, once, single } from '#std';
import { chainIds } from './chain-id.ts';
import type { Materialiser } from './materialiser.ts';
import type { TreeRef } from './ref.ts';
import { DELTA_LIMIT_BYTES, DELTA_MEDIA_TYPE } from './tree-refs.ts';

/** A step's changes on their way from a committed snapshot to the content store. */
export interface PendingLayer {
  readonly delta: Promise<readonly DeltaEntry[]>;
  /** the layer once it is compressed; its blob is read from this node until it is stored */
  readonly layer: () => Promise<Layer>;
  /** puts the blob into the content store */
  readonly store: (signal: AbortSignal) => Promise<void>;
  /** lets go of all that is on this node, and stops what is at work on it */
  readonly drop: () => Promise<void>;
}

export interface OutcomeOptions {
  readonly snapshot: string;
  /** results of all inputs that are results, the root first */
  readonly parents: readonly TreeRef[];
  readonly pending: PendingLayer;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly producer: Producer;
  readonly content: ContentStore;
  readonly materialiser: Materialiser;
}

/**
 * The result of a step that ran in this build: usable by its snapshot at once, by its layer when that is compressed, by
 * others when it is stored.
 */
export class StepOutcome implements TreeRef {
  readonly kind = 'tree';
  readonly #options: OutcomeOptions;
  readonly #known = Promise.withResolvers<Result>();
  readonly #stored = Promise.withResolvers<void>();
  readonly #tree: () => Promise<Tree>;
  readonly #digest: () => ReturnType<TreeRef['digest']>;

  constructor(options: OutcomeOptions) {
    this.#options = options;
    this.#known.promise.catch(() => {});
    this.#stored.promise.catch(() => {});
    options.pending.delta.catch(() => {});
    this.#tree = once(async () => applyDelta((await this.#root()?.tree()) ?? new Map(), await options.pending.delta));
    this.#digest = once(async () => treeDigest(await this.#tree()));
  }

  id = async (): Promise<Result['id']> => (await this.#known.promise).id;
  results = async (): Promise<readonly Result['id'][]> => [await this.id()];
  layers = async (): Promise<readonly StoredLayer[]> => (await this.#known.promise).layers;
  descriptors = (): Promise<readonly StoredLayer[]> => this.layers();
  tree = (): Promise<Tree> => this.#tree();
  digest = (): ReturnType<TreeRef['digest']> => this.#digest();
  createdAtMs = async (): Promise<number> => (await this.#known.promise).finishedAtMs;
  stored = (): Promise<void> => this.#stored.promise;
  snapshot = (): Promise<string> => Promise.resolve(this.#options.snapshot);

  async isEmpty(): Promise<boolean> {
    return (await this.#options.pending.delta).length === 0;
  }

  /** Compresses the layer, or takes an equivalent one of `earlier`; then all may use it. Then stores it, and saves it. */
  async settle({ earlier, reserve, save }: Settling, signal: AbortSignal): Promise<void> {
    const { materialiser, snapshot, parents: refs, pending, content } = this.#options;
    try {
      const parents = (await Promise.all(refs.map((parent) => parent.results()))).flat();
      const delta = encodeDelta(await pending.delta);
      const same = await this.#equivalent(earlier, parents, signal);
      const result = same ?? (await reserve(await this.#result(parents, delta)));
      const chain = chainIds(result.layers.map((layer) => layer.diffId)).at(-1);
      if (chain !== undefined) await materialiser.adopt(chain, snapshot);
      this.#known.resolve(result);
      if (same === undefined) {
        await materialiser.prove(await pending.layer());
        await content.put(single(delta), digestOf(delta), signal);
        await pending.store(signal);
      }
      // A record is whole, down to the first layer.
      await Promise.all(refs.map((parent) => parent.stored()));
      await save(result);
      this.#stored.resolve();
    } catch (thrown) {
      this.#known.reject(thrown);
      this.#stored.reject(thrown);
      throw thrown;
    } finally {
      await pending.drop();
    }
  }

  #root(): TreeRef | undefined {
    return this.#options.parents[0];
  }

  async #equivalent(
    earlier: readonly CacheRecord[],
    parents: readonly Result['id'][],
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    const { pending, content, startedAtMs, finishedAtMs } = this.#options;
    for (const { result } of earlier) {
      const own = result.layers.at(-1);
      const sameParents =
        result.parents.length === parents.length && result.parents.every((id, index) => id === parents[index]);
      if (own === undefined || !sameParents) continue;
      const known = decodeDelta(await collect(content.get(own.delta.digest, signal), DELTA_LIMIT_BYTES));
      if (equivalentDeltas(known, result, await pending.delta, { startedAtMs, finishedAtMs })) return result;
    }
    return undefined;
  }

  async #result(parents: readonly Result['id'][], deltaBytes: Uint8Array): Promise<Result> {
    const { pending, producer, startedAtMs, finishedAtMs } = this.#options;
    const delta = { mediaType: DELTA_MEDIA_TYPE, digest: digestOf(deltaBytes), size: deltaBytes.byteLength };
    const layer = await pending.layer();
    // Of the inputs as they are: merged or apart, the same results are not the same tree.
    const inputs = await Promise.all(this.#options.parents.map((parent) => parent.id()));
    return {
      id: stepResultId(inputs, layer.descriptor.digest),
      parents,
      layers: [...((await this.#root()?.layers()) ?? []), { ...layer, delta, createdAtMs: finishedAtMs }],
      tree: await this.digest(),
      empty: await this.isEmpty(),
      costMs: finishedAtMs - startedAtMs,
      startedAtMs,
      finishedAtMs,
      producer,
    };
  }
}

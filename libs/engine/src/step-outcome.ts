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
  /** stores the compressed layer; called once, unless an equivalent one is known */
  store(): Promise<Layer>;
  /** stops the compressing of a layer that nobody wants */
  drop(): Promise<void>;
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

/** The result of a step that ran in this build: usable by its snapshot at once, by its layer when settled. */
export class StepOutcome implements TreeRef {
  readonly kind = 'tree';
  readonly #options: OutcomeOptions;
  readonly #settled = Promise.withResolvers<Result>();
  readonly #tree: () => Promise<Tree>;
  readonly #digest: () => ReturnType<TreeRef['digest']>;

  constructor(options: OutcomeOptions) {
    this.#options = options;
    this.#settled.promise.catch(() => {});
    options.pending.delta.catch(() => {});
    this.#tree = once(async () => applyDelta((await this.#root()?.tree()) ?? new Map(), await options.pending.delta));
    this.#digest = once(async () => treeDigest(await this.#tree()));
  }

  id = async (): Promise<Result['id']> => (await this.#settled.promise).id;
  results = async (): Promise<readonly Result['id'][]> => [await this.id()];
  layers = async (): Promise<readonly StoredLayer[]> => (await this.#settled.promise).layers;
  descriptors = (): Promise<readonly StoredLayer[]> => this.layers();
  tree = (): Promise<Tree> => this.#tree();
  digest = (): ReturnType<TreeRef['digest']> => this.#digest();
  createdAtMs = async (): Promise<number> => (await this.#settled.promise).finishedAtMs;
  snapshot = (): Promise<string> => Promise.resolve(this.#options.snapshot);

  async isEmpty(): Promise<boolean> {
    return (await this.#options.pending.delta).length === 0;
  }

  /** Stores the layer, or takes an equivalent one of `earlier`, and saves it; what waits for layers goes on then. */
  async settle({ earlier, save }: Settling, signal: AbortSignal): Promise<void> {
    try {
      const parents = (await Promise.all(this.#options.parents.map((parent) => parent.results()))).flat();
      const same = await this.#equivalent(earlier, parents, signal);
      const result = await save(same ?? (await this.#store(parents, signal)));
      const { materialiser, snapshot } = this.#options;
      const chain = chainIds(result.layers.map((layer) => layer.diffId)).at(-1);
      if (chain !== undefined) await materialiser.adopt(chain, snapshot);
      this.#settled.resolve(result);
    } catch (thrown) {
      this.#settled.reject(thrown);
      throw thrown;
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
      if (equivalentDeltas(known, result, await pending.delta, { startedAtMs, finishedAtMs })) {
        await pending.drop();
        return result;
      }
    }
    return undefined;
  }

  async #store(parents: readonly Result['id'][], signal: AbortSignal): Promise<Result> {
    const { pending, content, producer, startedAtMs, finishedAtMs } = this.#options;
    const entries = await pending.delta;
    const bytes = encodeDelta(entries);
    const delta = { mediaType: DELTA_MEDIA_TYPE, digest: digestOf(bytes), size: bytes.byteLength };
    await content.put(single(bytes), delta.digest, signal);
    const layer = await pending.store();
    // Of the inputs as they are: merged or apart, the same results are not the same tree.
    const inputs = await Promise.all(this.#options.parents.map((parent) => parent.id()));
    return {
      id: stepResultId(inputs, layer.descriptor.digest),
      parents,
      layers: [...((await this.#root()?.layers()) ?? []), { ...layer, delta, createdAtMs: finishedAtMs }],
      tree: await this.digest(),
      empty: entries.length === 0,
      costMs: finishedAtMs - startedAtMs,
      startedAtMs,
      finishedAtMs,
      producer,
    };
  }
}

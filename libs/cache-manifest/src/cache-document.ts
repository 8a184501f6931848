import type { CacheKey, CacheRecord, KeyKind, OpKey, Producer, Result, ResultId, StoredLayer } from '#cache';
import { type Descriptor, DescriptorSchema, type Digest, DigestSchema } from '#oci';
import { KilnError, messageOf } from '#std';
import { z } from 'zod';

/** By what a result is found. What the key was made of stays on the farm: it may say more than an image does. */
export interface KnownKey {
  readonly key: CacheKey;
  readonly kind: KeyKind;
  readonly op: OpKey;
  /** that the step is for */
  readonly platform: string;
}

/** A step's result, as one farm hands it to another. */
export interface CacheEntry {
  readonly result: Result;
  /** the first is the one that a reader asks for first */
  readonly keys: readonly KnownKey[];
}

export const DOCUMENT_MEDIA_TYPE = 'application/vnd.kiln.cache.v1+json';
/** What a reader holds in memory for one cache. */
export const DOCUMENT_LIMIT_BYTES = 32 * 1024 * 1024;
const MAX_ENTRIES = 20_000;
/** of one result */
export const MAX_KEYS = 16;
/** No image has so many layers, and nobody who claims it makes us list them again and again. */
const MAX_DEPTH = 1024;

const Key = z.object({
  key: DigestSchema.transform((digest) => digest as CacheKey),
  kind: z.enum(['definition', 'content', 'trace']) satisfies z.ZodType<KeyKind>,
  op: DigestSchema.transform((digest) => digest as OpKey),
  platform: z.string().max(64),
});
const resultId = DigestSchema.transform((digest) => digest as ResultId);
const index = z.int().min(-1).max(MAX_ENTRIES);
const Layer = z.object({
  blob: DescriptorSchema,
  diffId: DigestSchema,
  delta: DescriptorSchema,
  createdAtMs: z.number().optional(),
  /** of the layer below, which stands before this one; -1 for none */
  parent: index,
});
export type DocumentLayer = z.infer<typeof Layer>;
const Outcome = z.object({
  id: resultId,
  parents: z.array(resultId).max(256),
  /** the topmost */
  layer: z.int().min(0).max(MAX_ENTRIES),
  tree: DigestSchema,
  empty: z.boolean(),
  costMs: z.number().nonnegative(),
  startedAtMs: z.number(),
  finishedAtMs: z.number(),
  producer: z.object({ buildId: z.string().max(255), builderId: z.string().max(255) }).optional(),
  keys: z.array(Key).min(1).max(MAX_KEYS),
});
export type DocumentResult = z.infer<typeof Outcome>;
const Document = z.object({
  v: z.literal(1),
  layers: z.array(Layer).max(MAX_ENTRIES),
  results: z.array(Outcome).max(MAX_ENTRIES),
});

/** What Kiln writes beside BuildKit's config. Layers form chains, so that its size grows with the steps and not with their depth. */
export interface CacheDocument {
  readonly layers: readonly DocumentLayer[];
  readonly results: readonly DocumentResult[];
}

/** @param producers false to leave out who made the results, where equal results have to give equal bytes */
export function makeDocument(entries: readonly CacheEntry[], { producers = true } = {}): CacheDocument {
  const chains = new Chains();
  const results = entries.slice(0, MAX_ENTRIES).map(({ result, keys }): DocumentResult => {
    const { id, parents, tree, empty, costMs, startedAtMs, finishedAtMs, producer } = result;
    return {
      id,
      parents: [...parents],
      layer: chains.add(result),
      tree,
      empty,
      costMs,
      startedAtMs,
      finishedAtMs,
      ...(producers ? { producer: { buildId: producer.buildId, builderId: producer.builderId } } : {}),
      keys: keys.slice(0, MAX_KEYS).map(({ key, kind, op, platform }) => ({ key, kind, op, platform })),
    };
  });
  return { layers: chains.layers, results };
}

/** Each distinct stack of layers once. */
class Chains {
  readonly layers: DocumentLayer[] = [];
  readonly #known = new Map<string, number>();
  readonly #tops = new Map<ResultId, { readonly at: number; readonly depth: number }>();

  add({ id, parents: [root], layers }: Result): number {
    const below = root === undefined ? undefined : this.#tops.get(root);
    const under = layers.at(-2);
    const extended =
      below !== undefined &&
      below.depth === layers.length - 1 &&
      this.layers[below.at]?.blob.digest === under?.descriptor.digest;
    // Most results stand on one that is known: one look-up instead of the whole chain.
    let at = extended ? below.at : -1;
    for (const layer of extended ? layers.slice(-1) : layers) at = this.#place(layer, at);
    if (at < 0) throw new KilnError('INTERNAL', `the result ${id} has no layer`);
    this.#tops.set(id, { at, depth: layers.length });
    return at;
  }

  #place({ descriptor, diffId, delta, createdAtMs }: StoredLayer, parent: number): number {
    const name = `${parent} ${descriptor.digest} ${delta.digest} ${createdAtMs ?? ''}`;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const at = this.layers.length;
    const time = createdAtMs === undefined ? {} : { createdAtMs };
    this.layers.push({ blob: plain(descriptor), diffId, delta: plain(delta), ...time, parent });
    this.#known.set(name, at);
    return at;
  }
}

const plain = ({ mediaType, digest, size }: Descriptor): Descriptor => ({ mediaType, digest, size });

export function encodeDocument({ layers, results }: CacheDocument): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, layers, results }));
}

/** @throws KilnError INVALID_ARGUMENT for anything that {@link encodeDocument} does not write */
export function decodeDocument(bytes: Uint8Array): CacheDocument {
  try {
    const { layers, results } = Document.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    const upward = layers.every(({ parent }, at) => parent < at);
    if (!upward || results.some(({ layer }) => layer >= layers.length)) throw new Error('an index is out of bounds');
    return { layers, results };
  } catch (cause) {
    throw new KilnError('INVALID_ARGUMENT', `not a cache of Kiln that can be read: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof z.ZodError)) return messageOf(cause);
  const [issue] = cause.issues;
  return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`;
}

/** A stack of layers from the first; undefined when it is too deep to be one. */
export function layersFrom({ layers }: CacheDocument, top: number): readonly StoredLayer[] | undefined {
  const stack: StoredLayer[] = [];
  for (let at = top; at >= 0; ) {
    const layer = layers[at];
    if (layer === undefined || stack.length === MAX_DEPTH) return undefined;
    const { blob, diffId, delta, createdAtMs } = layer;
    stack.push({ descriptor: blob, diffId, delta, ...(createdAtMs === undefined ? {} : { createdAtMs }) });
    at = layer.parent;
  }
  return stack.reverse();
}

/** The records of a document, each made when it is asked for. */
export class DocumentRecords {
  readonly #byKey = new Map<CacheKey, DocumentResult[]>();
  readonly #ops = new Set<OpKey>();
  readonly #results = new Map<DocumentResult, Result | undefined>();

  /** @param scope as whose its results are shown */
  constructor(
    readonly document: CacheDocument,
    readonly scope: string,
  ) {
    for (const result of document.results) {
      for (const { key, op } of result.keys) {
        this.#ops.add(op);
        const known = this.#byKey.get(key);
        if (known === undefined) this.#byKey.set(key, [result]);
        else known.push(result);
      }
    }
  }

  get size(): number {
    return this.document.results.length;
  }

  has(op: OpKey): boolean {
    return this.#ops.has(op);
  }

  find(key: CacheKey): readonly CacheRecord[] {
    return (this.#byKey.get(key) ?? []).flatMap((outcome): CacheRecord[] => {
      const result = this.#result(outcome);
      const kind = outcome.keys.find((known) => known.key === key)?.kind;
      return result === undefined || kind === undefined
        ? []
        : [{ key, kind, result, confirmedAtMs: result.finishedAtMs }];
    });
  }

  #result(outcome: DocumentResult): Result | undefined {
    if (this.#results.has(outcome)) return this.#results.get(outcome);
    const layers = layersFrom(this.document, outcome.layer);
    const { id, parents, tree, empty, costMs, startedAtMs, finishedAtMs } = outcome;
    const producer: Producer = { buildId: '', builderId: '', ...outcome.producer, scope: this.scope };
    const result =
      layers === undefined
        ? undefined
        : { id, parents, layers, tree, empty, costMs, startedAtMs, finishedAtMs, producer };
    this.#results.set(outcome, result);
    return result;
  }
}

/**
 * One document of two: all of `own`, and what `other` has for platforms that `own` says nothing of. So a cache that builds
 * for several platforms write one after the other has them all.
 */
export function addPlatforms(own: CacheDocument, other: CacheDocument): CacheDocument {
  const told = new Set(own.results.flatMap(({ keys }) => keys.map(({ platform }) => platform)));
  const more = new Map(
    other.results.flatMap((result) => {
      const keys = result.keys.filter(({ platform }) => !told.has(platform));
      return keys.length === 0 ? [] : [[result.id, { ...result, keys }] as const];
    }),
  );
  const results = own.results.map((result) => {
    // What comes out the same for two platforms is one result.
    const keys = more.get(result.id)?.keys ?? [];
    more.delete(result.id);
    return { ...result, keys: [...result.keys, ...keys].slice(0, MAX_KEYS) };
  });
  const kept = [...more.values()].slice(0, MAX_ENTRIES - results.length);
  const layers = [...own.layers];
  const moved = new Map<number, number>([[-1, -1]]);
  const used = usedLayers(other, kept);
  for (const [at, layer] of other.layers.entries()) {
    if (!used.has(at)) continue;
    moved.set(at, layers.length);
    layers.push({ ...layer, parent: moved.get(layer.parent) ?? -1 });
  }
  if (layers.length > MAX_ENTRIES) return own;
  return { layers, results: [...results, ...kept.map((each) => ({ ...each, layer: moved.get(each.layer) ?? 0 }))] };
}

function usedLayers({ layers }: CacheDocument, results: readonly DocumentResult[]): ReadonlySet<number> {
  const used = new Set(results.map(({ layer }) => layer));
  for (let at = layers.length - 1; at >= 0; at--) {
    const parent = layers[at]?.parent ?? -1;
    if (used.has(at) && parent >= 0) used.add(parent);
  }
  return used;
}

/** Every blob that the results need: layers from the first on, then their deltas; each once. */
export function blobsIn({ layers }: CacheDocument): {
  readonly layers: readonly DocumentLayer[];
  readonly deltas: readonly Descriptor[];
} {
  const distinct = new Map<Digest, DocumentLayer>();
  for (const layer of layers) if (!distinct.has(layer.blob.digest)) distinct.set(layer.blob.digest, layer);
  return {
    layers: [...distinct.values()],
    deltas: [...new Map(layers.map(({ delta }) => [delta.digest, delta])).values()],
  };
}

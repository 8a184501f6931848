import { blobsOf, type CacheKey, type CacheRecord, type CacheStore, type OpKey, type Result } from '#cache';
import { DocumentRecords } from '#cache-manifest';
import { type ContentStore } from '#content';
import { type Digest, digestOf, type Layer } from '#oci';
import type { CacheReport, CacheSource } from '#protocol';
import { KilnError, messageOf, single } from '#std';
import { type CacheReader, layoutReader, registryReader } from './cache-reader.ts';
import type { BuildJobInput, EngineNode } from './job.ts';
import { bringLayers, type PlacedBlobs } from './placed-blobs.ts';
import { type FoundCache, readCache } from './read-cache.ts';
import type { SentContent } from './sent-content.ts';

export interface ExternalCachesOptions {
  readonly node: EngineNode;
  readonly job: BuildJobInput;
  readonly placed: PlacedBlobs;
  readonly sent: Pick<SentContent, 'bring'>;
  /** as the build sees it */
  readonly content: ContentStore;
  readonly warn: (message: string) => void;
}

interface Loaded extends FoundCache {
  readonly records: DocumentRecords;
  readonly reader: CacheReader;
  readonly source: Source;
}

interface Source {
  readonly name: string;
  state: CacheReport['imports'][number]['state'];
  results: number;
  readonly used: Set<Result>;
  message?: string;
}

const READ_TIMEOUT_MS = 30_000;

/** The caches that a build names besides the farm's own: read beside all else, and waited for only when the farm lacks something. */
export class ExternalCaches implements AsyncDisposable {
  readonly #options: ExternalCachesOptions;
  readonly #stop = new AbortController();
  readonly #sources: readonly Source[];
  readonly #loaded: Loaded[] = [];
  readonly #owners = new WeakMap<Result, Loaded>();
  readonly #lost = new Set<Digest>();
  readonly #ready: Promise<unknown>;

  constructor(options: ExternalCachesOptions) {
    this.#options = options;
    const { cacheFrom, noCache, call } = options.job.request;
    // Where no result may be reused, none is asked for.
    const wanted = noCache || call !== 'build' ? [] : cacheFrom;
    this.#sources = cacheFrom.map((source) => ({
      name: source.type === 'registry' ? source.ref : source.context,
      state: 'unused',
      results: 0,
      used: new Set(),
    }));
    this.#ready = Promise.all(wanted.map((source, at) => this.#load(source, at)));
  }

  /** Resolves when every cache has been read, or has failed. */
  async ready(): Promise<void> {
    await this.#ready;
    this.#options.job.signal.throwIfAborted();
  }

  /** Records whose blobs can all be had. */
  find(key: CacheKey): readonly CacheRecord[] {
    return this.#loaded.flatMap((cache) =>
      cache.records.find(key).filter(({ result }) => {
        if (!this.#isWhole(cache, result)) return false;
        this.#owners.set(result, cache);
        return true;
      }),
    );
  }

  has(op: OpKey): boolean {
    return this.#loaded.some(({ records }) => records.has(op));
  }

  owns(result: Result): boolean {
    return this.#owners.has(result);
  }

  /** Makes what a result needs known to the build. False when only this build could have it. */
  async use(result: Result): Promise<boolean> {
    const cache = this.#owners.get(result) ?? this.#listing(result);
    if (cache === undefined) return true;
    const { placed, job, sent } = this.#options;
    cache.source.used.add(result);
    const digests = blobsOf(result);
    await sent.bring(digests);
    // What the project has been given is not asked for again.
    const lacking = await job.grants.missing(digests, job.signal);
    const absent = await this.#options.content.findMissing(new Set(digests), job.signal);
    const needed = digests.filter((digest) => lacking.has(digest) || absent.has(digest));
    for (const digest of needed) {
      const listed = cache.blobs.get(digest);
      const place = listed === undefined ? undefined : cache.reader.place(listed);
      if (place !== undefined) placed.offer(place);
      else if (cache.bare) this.#offerDelta(result, digest);
    }
    return await placed.keep(needed);
  }

  /** A result of one of the caches may stand on other parents here: its own layer tells. What ran here is none. */
  #listing({ layers, producer }: Result): Loaded | undefined {
    if (producer.buildId === this.#options.job.producer.buildId) return undefined;
    const own = layers.at(-1);
    return own && this.#loaded.find(({ blobs }) => blobs.has(own.descriptor.digest));
  }

  drop(blobs: ReadonlySet<Digest>): void {
    for (const digest of blobs) this.#lost.add(digest);
  }

  report(): CacheReport['imports'] {
    return this.#sources.map(({ name, state, results, used, message }) => ({
      source: name,
      state,
      results,
      hits: used.size,
      ...(message === undefined ? {} : { message }),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the build is done'));
    await this.#ready;
  }

  #isWhole({ blobs, bare }: Loaded, { layers }: Result): boolean {
    const here = (digest: Digest): boolean => blobs.has(digest) && !this.#lost.has(digest);
    return layers.every(
      ({ descriptor, delta }) =>
        here(descriptor.digest) && (here(delta.digest) || (bare && !this.#lost.has(delta.digest))),
    );
  }

  async #load(source: CacheSource, at: number): Promise<void> {
    const state = this.#sources[at];
    if (state === undefined) return;
    const { job, warn } = this.#options;
    const timeout = AbortSignal.timeout(READ_TIMEOUT_MS);
    const signal = AbortSignal.any([job.signal, this.#stop.signal, timeout]);
    try {
      const reader = this.#readerOf(source, signal);
      const { found, note } = await readCache(reader);
      for (const cache of found) {
        const blobs = new Map([...cache.blobs].filter(([digest]) => reader.has(digest)));
        const records = new DocumentRecords(cache.document, state.name);
        this.#loaded.push({ ...cache, blobs, records, reader, source: state });
        state.results += records.size;
      }
      state.state = found.length > 0 ? 'read' : 'empty';
      if (note === undefined) return;
      state.message = note;
      warn(`--cache-from ${state.name} ${note}`);
    } catch (thrown) {
      if (job.signal.aborted || this.#stop.signal.aborted) return;
      state.state = 'failed';
      state.message = timeout.aborted ? `not read within ${READ_TIMEOUT_MS / 1000} s` : messageOf(thrown);
      warn(`--cache-from ${state.name} is not used: ${state.message}`);
    }
  }

  #readerOf(source: CacheSource, signal: AbortSignal): CacheReader {
    const { job, node } = this.#options;
    if (source.type === 'registry') return registryReader(job.registry, source.ref, signal);
    const manifest = job.contexts.get(source.context);
    if (manifest === undefined)
      throw new KilnError('INVALID_ARGUMENT', `there is no context ${JSON.stringify(source.context)}`);
    return layoutReader(node.content, { manifest, top: source.digest }, signal);
  }

  /** What a layer changes is seen by unpacking it, on top of those below it. */
  #offerDelta({ layers }: Result, digest: Digest): void {
    const at = layers.findIndex(({ delta }) => delta.digest === digest);
    const layer = layers[at];
    if (layer === undefined) return;
    this.#options.placed.offerMade(digest, () => this.#makeDelta(layers.slice(0, at + 1), digest, layer));
  }

  async #makeDelta(stack: readonly Layer[], digest: Digest, { diffId }: Layer): Promise<void> {
    const { node, placed, content, job } = this.#options;
    const { signal } = job;
    const open = (layer: Layer, each: AbortSignal) => content.get(layer.descriptor.digest, each);
    await bringLayers(content, placed, stack, signal);
    await node.materialiser.snapshot(stack, open, signal);
    if ((await node.materialiser.delta(diffId)) === undefined)
      await node.materialiser.restoreDeltas(stack, open, signal);
    const bytes = await node.materialiser.delta(diffId);
    if (bytes === undefined || digestOf(bytes) !== digest)
      throw new KilnError('BLOB_MISSING', `the layer ${diffId} does not change what the cache says`);
    await node.content.put(single(bytes), digest, signal);
    await job.grants.grant([{ mediaType: 'application/octet-stream', digest, size: bytes.byteLength }], signal);
  }
}

/** The farm's records, and where it lacks some, those of other caches; what is used of these becomes the farm's. */
export function withExternal(cache: CacheStore, external: ExternalCaches, placed: PlacedBlobs): CacheStore {
  return {
    async lookup(keys, ops, signal) {
      const answer = await cache.lookup(keys, ops, signal);
      if (keys.every((key) => answer.records.has(key))) return answer;
      await external.ready();
      const records = new Map(answer.records);
      for (const key of keys) {
        const known = records.get(key) ?? [];
        const more = external.find(key).filter(({ result }) => !known.some((each) => each.result.id === result.id));
        if (more.length > 0) records.set(key, [...known, ...more]);
      }
      return { records, ops: new Set([...answer.ops, ...ops.filter((op) => external.has(op))]) };
    },
    reserve: (result, signal) => cache.reserve(result, signal),
    async save(keys, result, confirmedAtMs, signal) {
      return (await external.use(result)) ? await cache.save(keys, result, confirmedAtMs, signal) : result;
    },
    async forget(blobs, signal) {
      external.drop(blobs);
      await placed.forget(blobs);
      await cache.forget(blobs, signal);
    },
    findDeltas: (diffIds, signal) => cache.findDeltas(diffIds, signal),
    saveDelta: (diffId, delta, signal) => cache.saveDelta(diffId, delta, signal),
  };
}

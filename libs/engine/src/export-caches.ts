import {
  addPlatforms,
  type Blob,
  type CacheDocument,
  type CacheEntry,
  cacheManifest,
  type CacheManifest,
  decodeDocument,
  DOCUMENT_LIMIT_BYTES,
  listedCache,
  makeDocument,
} from '#cache-manifest';
import { pushBlobs, writeBlobLayout } from '#exporter';
import { type Descriptor, type Digest, familiarReference, type Layer, parseReference, type Reference } from '#oci';
import type { CacheReport, CacheTarget, OutputFile } from '#protocol';
import type { Repository } from '#registry';
import { type Bytes, collect, isKilnError, KilnError, messageOf, single } from '#std';
import pLimit from 'p-limit';
import type { Exporting, OpenBlob } from './exporting.ts';
import { treeOf } from './platform-result.ts';
import { conversionOf, type LayerVariants, type WantedForm } from './layer-variants.ts';
import { withContentKeys } from './step-results.ts';

type Target = Exclude<CacheTarget, { readonly type: 'inline' }>;
type Exported = CacheReport['exports'][number];

export interface CacheExporting extends Exporting {
  readonly variants: LayerVariants;
  /** repositories that are known to have a blob */
  readonly mountCandidates: ReadonlyMap<Digest, readonly Repository[]>;
  /** results that the images of this build have in them */
  readonly inline: () => number;
}

/** Writes the build's steps to every cache that it names. Files come after those of the outputs. */
export async function exportCaches(
  exporting: CacheExporting,
): Promise<{ readonly exports: Exported[]; readonly files: readonly OutputFile[] }> {
  const { node, job, report, steps } = exporting;
  const exports: Exported[] = [];
  const files: OutputFile[] = [];
  const entries = await withContentKeys(steps.entries(), job.findContentKeys);
  for (const target of job.request.cacheTo) {
    if (target.type === 'inline') {
      exports.push({ type: 'inline', results: exporting.inline(), uploadedBytes: 0 });
      continue;
    }
    const name = target.type === 'registry' ? `cache to ${target.ref}` : `cache (${target.type})`;
    const progress = { type: 'progress', id: `cache ${exports.length}`, name: `exporting ${name}` } as const;
    const tell = (done: boolean): void =>
      report({ ...progress, unit: 'items', current: 0, atMs: node.clock.nowMs(), done });
    tell(false);
    try {
      const { exported, file } = await exportTo(exporting, target, entries);
      exports.push(exported);
      if (file !== undefined) files.push(file);
    } catch (thrown) {
      job.signal.throwIfAborted();
      // What the farm has lost is mended by running the steps again.
      if (!target.ignoreError || isKilnError(thrown, 'FENCED', 'BLOB_MISSING', 'BLOB_CORRUPT')) throw thrown;
      const message = `the cache was not written: ${messageOf(thrown)}`;
      exports.push({ ...nothing(target), message });
      report({ type: 'warning', atMs: node.clock.nowMs(), message: `--cache-to ${nameOf(target)}: ${message}` });
    }
    tell(true);
  }
  return { exports, files };
}

const nameOf = (target: Target): string => (target.type === 'registry' ? target.ref : 'type=local');

const nothing = (target: Target): Exported => ({
  type: target.type,
  ...(target.type === 'registry' ? { target: target.ref } : {}),
  results: 0,
  uploadedBytes: 0,
});

interface Written {
  readonly exported: Exported;
  readonly file?: OutputFile;
}

async function exportTo(exporting: CacheExporting, target: Target, entries: readonly CacheEntry[]): Promise<Written> {
  const wanted = target.mode === 'max' ? entries : await ofImages(exporting, entries);
  const converted = await inForm(exporting, target, wanted);
  const document = makeDocument(converted);
  if (document.results.length === 0) {
    const message = 'the build has no steps for a cache';
    exporting.report({ type: 'warning', atMs: exporting.node.clock.nowMs(), message: `--cache-to: ${message}` });
    return { exported: { ...nothing(target), message } };
  }
  return target.type === 'registry'
    ? { exported: await pushCache(exporting, target.ref, { target, document }) }
    : await writeCache(exporting, target, document);
}

/** Results that the layers of the images come from. */
async function ofImages({ results }: Exporting, entries: readonly CacheEntry[]): Promise<readonly CacheEntry[]> {
  const layers = await Promise.all(results.map(({ root }) => treeOf(root).descriptors()));
  const inside = new Set(layers.flat().map(({ diffId }) => diffId));
  return entries.filter(({ result }) => result.layers.every(({ diffId }) => inside.has(diffId)));
}

const PARALLEL_LAYERS = 2;

/** The same results on layers in the compression that was asked for. */
async function inForm(
  { variants }: CacheExporting,
  target: Target,
  entries: readonly CacheEntry[],
): Promise<readonly CacheEntry[]> {
  const form: WantedForm = {
    compression: target.compression === 'uncompressed' ? 'none' : target.compression,
    level: target.compressionLevel,
    force: target.forceCompression === true,
    epoch: undefined,
  };
  const limit = pLimit(PARALLEL_LAYERS);
  const made = new Map<Digest, Promise<Layer>>();
  const convert = (layer: CacheEntry['result']['layers'][number]): Promise<Layer> => {
    const conversion = conversionOf(layer, layer.createdAtMs === undefined, form);
    if (conversion === undefined) return Promise.resolve(layer);
    const known = made.get(layer.diffId) ?? limit(() => variants.convert(layer, conversion));
    made.set(layer.diffId, known);
    return known;
  };
  const all = entries.flatMap(({ result }) => result.layers.map(convert));
  await Promise.allSettled(all);
  if (made.size === 0) return (await Promise.all(all)) && entries;
  return await Promise.all(
    entries.map(async (entry) => {
      const layers = await Promise.all(
        entry.result.layers.map(async (layer) => ({ ...layer, descriptor: (await convert(layer)).descriptor })),
      );
      return { ...entry, result: { ...entry.result, layers } };
    }),
  );
}

const formOf = (target: Target) => {
  const dialect = target.ociMediaTypes === false ? 'docker' : 'oci';
  return { dialect, imageManifest: target.imageManifest ?? dialect === 'oci' } as const;
};

interface Pushing {
  readonly target: Target;
  readonly document: CacheDocument;
}

/** How often a cache that others write at the same moment is put together again. */
const MAX_ROUNDS = 5;

async function pushCache(exporting: CacheExporting, ref: string, { target, document }: Pushing): Promise<Exported> {
  const { job, node, mountCandidates, tally } = exporting;
  const { registry: client, signal } = job;
  const reference = parseReference(ref);
  const open: OpenBlob = (descriptor) => node.content.get(descriptor.digest, signal);
  const pushing = { client, to: reference, mountCandidates, report: () => undefined, signal };
  let uploadedBytes = await pushBlobs(cacheManifest(document, formOf(target)).blobs, { ...pushing, open });
  // What other platforms wrote under the name stays.
  for (let round = 1; ; round++) {
    const there = await existing(exporting, reference);
    const merged = there === undefined ? document : addPlatforms(document, there);
    const { manifest, documents } = cacheManifest(merged, formOf(target));
    const bytes = new Map(documents.map(({ descriptor, bytes: all }) => [descriptor.digest, all]));
    const openDocument = ({ digest }: Descriptor): Bytes => single(bytes.get(digest) ?? Buffer.alloc(0));
    uploadedBytes += await pushBlobs(
      documents.map(({ descriptor }) => descriptor),
      { ...pushing, open: openDocument },
    );
    await job.checkFence();
    uploadedBytes += await putManifest(exporting, reference, manifest);
    const stands = await client.headManifest(reference, signal);
    if (stands === null || stands.digest === manifest.descriptor.digest || round === MAX_ROUNDS) {
      tally.pushedBytes += uploadedBytes;
      const { descriptor } = manifest;
      return {
        type: 'registry',
        target: familiarReference(reference),
        descriptor,
        results: document.results.length,
        uploadedBytes,
      };
    }
  }
}

async function putManifest({ job }: CacheExporting, reference: Reference, manifest: Blob): Promise<number> {
  const { descriptor, bytes } = manifest;
  if ((await job.registry.headManifest(reference, job.signal))?.digest === descriptor.digest) return 0;
  await job.registry.pushManifest(reference, descriptor.mediaType, bytes, job.signal);
  return descriptor.size;
}

/** What Kiln wrote there before; what cannot be read is written anew. */
async function existing({ job }: CacheExporting, reference: Reference): Promise<CacheDocument | undefined> {
  const { registry: client, signal } = job;
  try {
    const found = await client.document(reference, { fresh: true }, signal);
    const { document } = listedCache(found.kind === 'index' ? found.index : found.manifest);
    if (document === undefined || document.size > DOCUMENT_LIMIT_BYTES) return undefined;
    return decodeDocument(await collect(client.fetchBlob(reference, document, signal), DOCUMENT_LIMIT_BYTES));
  } catch (thrown) {
    signal.throwIfAborted();
    if (!isKilnError(thrown)) throw thrown;
    return undefined;
  }
}

async function writeCache(
  { node, job }: CacheExporting,
  target: Extract<Target, { readonly type: 'local' }>,
  document: CacheDocument,
): Promise<Written> {
  const { signal } = job;
  const cache = cacheManifest(document, formOf(target));
  const { descriptor } = cache.manifest;
  const annotations = { 'org.opencontainers.image.ref.name': target.tag };
  const tar = writeBlobLayout({
    blobs: [...blobsOf(cache), ...cache.blobs.map((each) => ({ descriptor: each, open: opener(each) }))],
    manifests: [{ mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size, annotations }],
    signal,
  });
  function opener({ digest }: Descriptor): () => Bytes {
    return () => node.content.get(digest, signal);
  }
  const { digest, sizeBytes } = await node.content.put(tar, undefined, signal);
  await job.grants.grant([{ mediaType: 'application/x-tar', digest, size: sizeBytes }], signal);
  const exported = { type: target.type, descriptor, results: document.results.length, uploadedBytes: 0 };
  return { exported, file: { type: 'cache', digest, sizeBytes } };
}

const blobsOf = ({ manifest, documents }: CacheManifest) =>
  [manifest, ...documents].map(({ descriptor, bytes }) => ({ descriptor, open: () => single(bytes) }));

/** As with BuildKit: `--build-arg BUILDKIT_INLINE_CACHE=1`. */
export function asksForInline({
  cacheTo,
  buildArgs,
}: {
  readonly cacheTo: readonly CacheTarget[];
  readonly buildArgs: Readonly<Record<string, string>>;
}): boolean {
  const asked = (buildArgs['BUILDKIT_INLINE_CACHE'] ?? '').toLowerCase();
  return cacheTo.some(({ type }) => type === 'inline') || ['1', 't', 'true'].includes(asked);
}

/** Whether what a build gives names its steps' records, all of which it has to know then. */
export function writesCaches(request: Parameters<typeof asksForInline>[0]): boolean {
  return request.cacheTo.length > 0 || asksForInline(request);
}

/** @throws KilnError INVALID_ARGUMENT for caches that cannot be written so */
export function checkCaches(cacheTo: readonly CacheTarget[]): void {
  for (const [at, target] of cacheTo.entries()) {
    if (target.type === 'inline') continue;
    const refuse = (message: string, hint: string): KilnError =>
      new KilnError('INVALID_ARGUMENT', message, { field: `cacheTo[${at}]`, hint });
    if (target.ociMediaTypes === false && target.imageManifest === true)
      throw refuse('an image manifest for a cache goes with OCI media types alone', 'leave oci-mediatypes=false out');
    if (target.ociMediaTypes === false && target.compression === 'zstd')
      throw refuse('compression=zstd goes with OCI media types alone', 'leave oci-mediatypes=false out');
    if (target.compression === 'gzip' && (target.compressionLevel ?? 0) > 9)
      throw refuse(`gzip has no level ${target.compressionLevel}`, 'there are 0 to 9');
  }
}

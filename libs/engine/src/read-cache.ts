import {
  BUILDKIT_LIMIT_BYTES,
  type CacheDocument,
  decodeDocument,
  DOCUMENT_LIMIT_BYTES,
  listedCache,
  parseBuildKitConfig,
  readInlineCache,
} from '#cache-manifest';
import type { Descriptor, Digest, Manifest } from '#oci';
import { mediaType } from '#oci';
import pLimit from 'p-limit';
import type { CacheReader } from './cache-reader.ts';

/** Results of a cache, with the blobs that it has for them. */
export interface FoundCache {
  readonly document: CacheDocument;
  readonly blobs: ReadonlyMap<Digest, Descriptor>;
  /** it has layers alone: what they change has to be seen from them */
  readonly bare: boolean;
}

/** What was found under a name: caches, or why there is none that can be used. */
export interface ReadCache {
  readonly found: readonly FoundCache[];
  readonly note?: string;
}

const IMAGE_CONFIG_LIMIT_BYTES = DOCUMENT_LIMIT_BYTES * 2;
const MAX_IMAGES = 32;
const PARALLEL_IMAGES = 4;
const BY_BUILDKIT = 'was written by BuildKit, whose keys cannot be compared with Kiln’s: nothing of it is reused';

/** Reads a cache manifest, or the caches in an image; of several platforms those of all. @throws KilnError */
export async function readCache(reader: CacheReader): Promise<ReadCache> {
  const top = await reader.document();
  const { document, config, blobs } = listedCache(top.kind === 'index' ? top.index : top.manifest);
  if (document !== undefined) {
    const bytes = await reader.blob(document, DOCUMENT_LIMIT_BYTES);
    return { found: [{ document: decodeDocument(bytes), blobs, bare: false }] };
  }
  if (config !== undefined) {
    const { records } = parseBuildKitConfig(await reader.blob(config, BUILDKIT_LIMIT_BYTES));
    return { found: [], note: `${BY_BUILDKIT} (${records.length} records)` };
  }
  const limit = pLimit(PARALLEL_IMAGES);
  const images = top.kind === 'manifest' ? [top.manifest] : await imagesIn(top.index.manifests, reader, limit);
  const read = await Promise.all(images.map((image) => limit(() => readImage(image, reader))));
  const found = read.filter((each) => typeof each === 'object');
  if (found.length > 0) return { found };
  return { found, note: read.includes('buildkit') ? BY_BUILDKIT : 'has no cache in it' };
}

async function imagesIn(
  listed: readonly Descriptor[],
  reader: CacheReader,
  limit: ReturnType<typeof pLimit>,
): Promise<readonly Manifest[]> {
  const types: readonly string[] = [mediaType.ociManifest, mediaType.dockerManifest];
  const images = listed.filter((each) => types.includes(each.mediaType)).slice(0, MAX_IMAGES);
  const documents = await Promise.all(images.map(({ digest }) => limit(() => reader.document(digest))));
  return documents.flatMap((each) => (each.kind === 'manifest' ? [each.manifest] : []));
}

async function readImage(
  { config, layers }: Manifest,
  reader: CacheReader,
): Promise<FoundCache | 'buildkit' | undefined> {
  if (config.mediaType !== mediaType.ociConfig && config.mediaType !== mediaType.dockerConfig) return undefined;
  const document = readInlineCache(await reader.blob(config, IMAGE_CONFIG_LIMIT_BYTES));
  if (typeof document !== 'object') return document;
  return { document, blobs: new Map(layers.map((layer) => [layer.digest, layer])), bare: true };
}

import {
  type Compression,
  compressionOf,
  type Descriptor,
  type Digest,
  digestOf,
  type Index,
  type Manifest,
  mediaType,
} from '#oci';
import { canonicalJson, type Json, KilnError } from '#std';
import { BUILDKIT_CONFIG_MEDIA_TYPE, BUILDKIT_LIMIT_BYTES, buildKitConfig } from './buildkit-config.ts';
import {
  blobsIn,
  type CacheDocument,
  DOCUMENT_LIMIT_BYTES,
  DOCUMENT_MEDIA_TYPE,
  type DocumentLayer,
  encodeDocument,
} from './cache-document.ts';

export interface CacheForm {
  readonly dialect: 'oci' | 'docker';
  /** an image manifest, which every registry takes; else an index over blobs, as BuildKit wrote it before */
  readonly imageManifest: boolean;
}

export interface Blob {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** A cache as it goes to a registry or into a layout. */
export interface CacheManifest {
  readonly manifest: Blob;
  /** BuildKit's config, and Kiln's document */
  readonly documents: readonly Blob[];
  /** layers and deltas, which lie somewhere already */
  readonly blobs: readonly Descriptor[];
}

/** @throws KilnError LIMIT_EXCEEDED for more than readers read */
export function cacheManifest(document: CacheDocument, { dialect, imageManifest }: CacheForm): CacheManifest {
  const config = blobOf(BUILDKIT_CONFIG_MEDIA_TYPE, buildKitConfig(document));
  const own = blobOf(DOCUMENT_MEDIA_TYPE, encodeDocument(document));
  const { layers, deltas } = blobsIn(document);
  const listed: Json[] = [
    ...layers.map((layer) => layerEntry(layer, dialect)),
    ...deltas.map(entryOf),
    entryOf(own.descriptor),
  ];
  const type = imageManifest ? mediaType.ociManifest : dialect === 'oci' ? mediaType.ociIndex : mediaType.dockerIndex;
  const body = imageManifest
    ? { config: entryOf(config.descriptor), layers: listed }
    : { manifests: [...listed, entryOf(config.descriptor)] };
  const manifest = blobOf(type, Buffer.from(canonicalJson({ schemaVersion: 2, mediaType: type, ...body })));
  const tooLarge = own.bytes.byteLength > DOCUMENT_LIMIT_BYTES || [manifest, config].some(isTooLarge);
  if (tooLarge) {
    throw new KilnError('LIMIT_EXCEEDED', `the cache has ${layers.length} layers, more than a manifest can list`, {
      hint: 'write mode=min, which has the layers of the image alone',
    });
  }
  return { manifest, documents: [config, own], blobs: [...layers.map(({ blob }) => blob), ...deltas] };
}

const isTooLarge = ({ bytes }: Blob): boolean => bytes.byteLength > BUILDKIT_LIMIT_BYTES;

function blobOf(type: string, bytes: Buffer): Blob {
  return { descriptor: { mediaType: type, digest: digestOf(bytes), size: bytes.byteLength }, bytes };
}

const entryOf = ({ mediaType: type, digest, size }: Descriptor): Record<string, Json> => ({
  mediaType: type,
  digest,
  size,
});

const layerTypes: Readonly<Record<CacheForm['dialect'], Readonly<Record<Compression, string | undefined>>>> = {
  oci: { none: mediaType.ociLayer, gzip: mediaType.ociLayerGzip, zstd: mediaType.ociLayerZstd },
  docker: { none: mediaType.dockerLayer, gzip: mediaType.dockerLayerGzip, zstd: undefined },
};

/** With what BuildKit needs to unpack a layer once. */
function layerEntry({ blob, diffId, createdAtMs }: DocumentLayer, dialect: CacheForm['dialect']): Json {
  const compression = compressionOf(blob.mediaType);
  const type = (compression === undefined ? undefined : layerTypes[dialect][compression]) ?? blob.mediaType;
  const created = createdAtMs === undefined ? {} : { 'buildkit/createdat': new Date(createdAtMs).toISOString() };
  return {
    ...entryOf({ ...blob, mediaType: type }),
    annotations: { 'containerd.io/uncompressed': diffId, ...created },
  };
}

/** What a manifest lists of a cache. */
export interface ListedCache {
  /** Kiln's own */
  readonly document: Descriptor | undefined;
  /** BuildKit's; undefined for what is no cache manifest, but may be an image with a cache in it */
  readonly config: Descriptor | undefined;
  readonly blobs: ReadonlyMap<Digest, Descriptor>;
}

export function listedCache(found: Pick<Manifest, 'config' | 'layers'> | Pick<Index, 'manifests'>): ListedCache {
  const all: readonly Descriptor[] = 'manifests' in found ? found.manifests : [found.config, ...found.layers];
  return {
    document: all.find((each) => each.mediaType === DOCUMENT_MEDIA_TYPE),
    config: all.find((each) => each.mediaType === BUILDKIT_CONFIG_MEDIA_TYPE),
    blobs: new Map(all.map(({ mediaType: type, digest, size }) => [digest, { mediaType: type, digest, size }])),
  };
}

import { type Descriptor, digestOf, mediaType } from '#oci';
import { canonicalJson, type Json, KilnError } from '#std';
import type { AssembledImage } from './assemble-image.ts';

/** Images of one build for several platforms, under one digest. */
export interface AssembledIndex {
  readonly kind: 'index';
  /** in the index's order */
  readonly images: readonly AssembledImage[];
  readonly indexBytes: Buffer;
  readonly indexDescriptor: Descriptor;
}

/** What a tag can stand for. */
export type Assembled = AssembledImage | AssembledIndex;

/**
 * An OCI image index (https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md) over images in the order in
 * which they are given: pure, the same bytes for the same images.
 * @throws KilnError INTERNAL without any image
 */
export function assembleIndex(images: readonly AssembledImage[]): AssembledIndex {
  if (images.length === 0) throw new KilnError('INTERNAL', 'an index of no images');
  const index = { schemaVersion: 2, mediaType: mediaType.ociIndex, manifests: images.map(indexEntry) };
  const indexBytes = Buffer.from(canonicalJson(index));
  return {
    kind: 'index',
    images,
    indexBytes,
    indexDescriptor: { mediaType: mediaType.ociIndex, digest: digestOf(indexBytes), size: indexBytes.byteLength },
  };
}

/** How an index lists an image. */
export function indexEntry({ manifestDescriptor, platform }: AssembledImage): Readonly<Record<string, Json>> {
  const { os, architecture, variant } = platform;
  return {
    mediaType: manifestDescriptor.mediaType,
    digest: manifestDescriptor.digest,
    size: manifestDescriptor.size,
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
  };
}

export function imagesOf(assembled: Assembled): readonly AssembledImage[] {
  return assembled.kind === 'image' ? [assembled] : assembled.images;
}

/** What a tag is put on: the index where there is one, else the manifest. */
export function topOf(assembled: Assembled): { readonly descriptor: Descriptor; readonly bytes: Buffer } {
  return assembled.kind === 'image'
    ? { descriptor: assembled.manifestDescriptor, bytes: assembled.manifestBytes }
    : { descriptor: assembled.indexDescriptor, bytes: assembled.indexBytes };
}

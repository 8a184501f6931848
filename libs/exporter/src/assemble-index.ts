import { type Descriptor, digestOf, mediaType } from '#oci';
import { canonicalJson, type Json, KilnError } from '#std';
import type { AssembledAttestation, AssembledManifest } from './assemble-attestation.ts';
import type { Annotations, AssembledImage } from './assemble-image.ts';

/** Images of one build for several platforms, under one digest. */
export interface AssembledIndex {
  readonly kind: 'index';
  /** in the index's order */
  readonly images: readonly AssembledImage[];
  /** after them, in their order */
  readonly attestations: readonly AssembledAttestation[];
  readonly indexBytes: Buffer;
  readonly indexDescriptor: Descriptor;
  readonly descriptorAnnotations: Annotations;
}

export interface IndexParts {
  readonly images: readonly AssembledImage[];
  readonly attestations?: readonly AssembledAttestation[] | undefined;
  readonly annotations?: Annotations | undefined;
  /** of what lists the index: an OCI layout */
  readonly descriptorAnnotations?: Annotations | undefined;
}

/** What a tag can stand for. */
export type Assembled = AssembledImage | AssembledIndex;

/**
 * An OCI image index (https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md) over images in the order in
 * which they are given: pure, the same bytes for the same images.
 * @throws KilnError INTERNAL without any image
 */
export function assembleIndex({
  images,
  attestations = [],
  annotations = {},
  descriptorAnnotations = {},
}: IndexParts): AssembledIndex {
  const [first] = images;
  if (first === undefined) throw new KilnError('INTERNAL', 'an index of no images');
  if (first.dialect === 'docker' && Object.keys({ ...annotations, ...descriptorAnnotations }).length > 0) {
    throw new KilnError('INVALID_ARGUMENT', 'Docker’s media types have no annotations', {
      hint: 'leave oci-mediatypes=false out',
    });
  }
  const type = first.dialect === 'docker' ? mediaType.dockerIndex : mediaType.ociIndex;
  const index = {
    schemaVersion: 2,
    mediaType: type,
    manifests: [...images.map(topEntry), ...attestations.map(attestationEntry)],
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const indexBytes = Buffer.from(canonicalJson(index));
  return {
    kind: 'index',
    images,
    attestations,
    indexBytes,
    indexDescriptor: { mediaType: type, digest: digestOf(indexBytes), size: indexBytes.byteLength },
    descriptorAnnotations,
  };
}

/** How an index lists an image, or an OCI layout either. */
export function topEntry(assembled: Assembled): Readonly<Record<string, Json>> {
  const { mediaType: type, digest, size } = topOf(assembled).descriptor;
  const annotations = assembled.descriptorAnnotations;
  return {
    mediaType: type,
    digest,
    size,
    ...(assembled.kind === 'index' ? {} : { platform: platformOf(assembled) }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

export const REFERENCE_TYPE = 'vnd.docker.reference.type';
export const REFERENCE_DIGEST = 'vnd.docker.reference.digest';
export const ATTESTATION = 'attestation-manifest';

/** No platform is this one: nobody runs it. */
const attestationEntry = ({ manifestDescriptor, of }: AssembledAttestation): Readonly<Record<string, Json>> => ({
  ...manifestDescriptor,
  platform: { architecture: 'unknown', os: 'unknown' },
  annotations: { [REFERENCE_DIGEST]: of, [REFERENCE_TYPE]: ATTESTATION },
});

function platformOf({ platform: { os, architecture, variant } }: AssembledImage): Readonly<Record<string, string>> {
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

export function imagesOf(assembled: Assembled): readonly AssembledImage[] {
  return assembled.kind === 'image' ? [assembled] : assembled.images;
}

/** The images, and what is told of them. */
export function manifestsOf(assembled: Assembled): readonly AssembledManifest[] {
  return assembled.kind === 'image' ? [assembled] : [...assembled.images, ...assembled.attestations];
}

/** What a tag is put on: the index where there is one, else the manifest. */
export function topOf(assembled: Assembled): { readonly descriptor: Descriptor; readonly bytes: Buffer } {
  return assembled.kind === 'image'
    ? { descriptor: assembled.manifestDescriptor, bytes: assembled.manifestBytes }
    : { descriptor: assembled.indexDescriptor, bytes: assembled.indexBytes };
}

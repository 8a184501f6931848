import {
  type Descriptor,
  ImageConfigSchema,
  IndexSchema,
  isDigest,
  ManifestSchema,
  mediaType,
  normalisePlatform,
} from '#oci';
import { KilnError } from '#std';
import type { AssembledImage } from './assemble-image.ts';
import type { AssembledAttestation, AssembledManifest } from './assemble-attestation.ts';
import { type Assembled, ATTESTATION, REFERENCE_DIGEST, REFERENCE_TYPE } from './assemble-index.ts';

/** The whole bytes of a document: a manifest, an index, a config. */
export type ReadDocument = (descriptor: Descriptor) => Promise<Buffer>;

/**
 * An image that was assembled before, of its documents: the same bytes again.
 * @throws KilnError INTERNAL for what is no image, and what `read` throws
 */
export async function readImage(descriptor: Descriptor, read: ReadDocument): Promise<Assembled> {
  if (descriptor.mediaType !== mediaType.ociIndex && descriptor.mediaType !== mediaType.dockerIndex)
    return await readOne(descriptor, read);
  const indexBytes = await read(descriptor);
  const { manifests } = parsed(IndexSchema, indexBytes, descriptor);
  const images: AssembledImage[] = [];
  const attestations: AssembledAttestation[] = [];
  for (const { mediaType: type, digest, size, annotations = {} } of manifests) {
    const of = annotations[REFERENCE_DIGEST];
    if (annotations[REFERENCE_TYPE] === ATTESTATION && of !== undefined && isDigest(of))
      attestations.push({ kind: 'attestation', of, ...(await readManifest({ mediaType: type, digest, size }, read)) });
    else images.push(await readOne({ mediaType: type, digest, size }, read));
  }
  return { kind: 'index', images, attestations, indexBytes, indexDescriptor: descriptor, descriptorAnnotations: {} };
}

async function readManifest(manifestDescriptor: Descriptor, read: ReadDocument): Promise<AssembledManifest> {
  const manifestBytes = await read(manifestDescriptor);
  const manifest = parsed(ManifestSchema, manifestBytes, manifestDescriptor);
  const { mediaType: type, digest, size } = manifest.config;
  const configDescriptor = { mediaType: type, digest, size };
  return { manifestBytes, manifestDescriptor, manifest, configDescriptor, configBytes: await read(configDescriptor) };
}

async function readOne(manifestDescriptor: Descriptor, read: ReadDocument): Promise<AssembledImage> {
  const whole = await readManifest(manifestDescriptor, read);
  const { configBytes, configDescriptor } = whole;
  const { os, architecture, variant, created } = parsed(ImageConfigSchema, configBytes, configDescriptor);
  return {
    kind: 'image',
    ...whole,
    platform: normalisePlatform({ os, architecture, variant }),
    descriptorAnnotations: {},
    dialect: manifestDescriptor.mediaType === mediaType.dockerManifest ? 'docker' : 'oci',
    createdAt: created ?? new Date(0).toISOString(),
  };
}

function parsed<T>(
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } },
  bytes: Buffer,
  { digest }: Descriptor,
): T {
  const found = schema.safeParse(JSON.parse(bytes.toString('utf8')));
  if (found.success) return found.data;
  throw new KilnError('INTERNAL', `${digest} is no document of an image`);
}

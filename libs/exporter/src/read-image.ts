import { type Descriptor, ImageConfigSchema, IndexSchema, ManifestSchema, mediaType, normalisePlatform } from '#oci';
import { KilnError } from '#std';
import type { AssembledImage } from './assemble-image.ts';
import type { Assembled } from './assemble-index.ts';

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
  for (const { mediaType: type, digest, size } of manifests) {
    images.push(await readOne({ mediaType: type, digest, size }, read));
  }
  return { kind: 'index', images, indexBytes, indexDescriptor: descriptor, descriptorAnnotations: {} };
}

async function readOne(manifestDescriptor: Descriptor, read: ReadDocument): Promise<AssembledImage> {
  const manifestBytes = await read(manifestDescriptor);
  const manifest = parsed(ManifestSchema, manifestBytes, manifestDescriptor);
  const { mediaType: type, digest, size } = manifest.config;
  const configDescriptor = { mediaType: type, digest, size };
  const configBytes = await read(configDescriptor);
  const { os, architecture, variant, created } = parsed(ImageConfigSchema, configBytes, configDescriptor);
  return {
    kind: 'image',
    ...{ configBytes, configDescriptor, manifestBytes, manifestDescriptor, manifest },
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

import {
  type Descriptor,
  type Digest,
  digestOf,
  type Index,
  IndexSchema,
  isDigest,
  type Manifest,
  ManifestSchema,
  mediaType,
} from '#oci';
import { collect, isKilnError } from '#std';
import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import type { Reply } from './http.ts';
import { RegistryError, transportFailure } from './registry-error.ts';

const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024;

export const acceptManifests = [
  mediaType.ociIndex,
  mediaType.dockerIndex,
  mediaType.ociManifest,
  mediaType.dockerManifest,
].join(', ');

export type Document =
  | { readonly kind: 'manifest'; readonly descriptor: Descriptor; readonly bytes: Buffer; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly descriptor: Descriptor; readonly bytes: Buffer; readonly index: Index };

const KindSchema = z.looseObject({
  schemaVersion: z.number().optional(),
  mediaType: z.string().optional(),
  manifests: z.unknown().optional(),
  config: z.unknown().optional(),
  layers: z.unknown().optional(),
});

/** All of a small answer. @throws RegistryError REGISTRY_FAILED when it breaks off or is longer than `limitBytes` */
export async function readSmall(reply: Reply, endpoint: Endpoint, limitBytes: number): Promise<Buffer> {
  try {
    return await collect(reply.body, limitBytes);
  } catch (thrown) {
    if (!isKilnError(thrown, 'LIMIT_EXCEEDED')) throw transportFailure(thrown, endpoint.host);
    throw new RegistryError('REGISTRY_FAILED', `${endpoint.host} sent more than ${limitBytes} bytes`, {
      cause: thrown,
    });
  }
}

/**
 * A manifest or index, verified: its bytes are those of `expected`, or of the digest that the registry itself names.
 * @throws RegistryError REGISTRY_FAILED for other bytes, IMAGE_NOT_FOUND for what is no image
 */
export async function readDocument(
  reply: Reply,
  endpoint: Endpoint,
  image: string,
  expected: Digest | undefined,
): Promise<Document> {
  const bytes = await readSmall(reply, endpoint, MANIFEST_LIMIT_BYTES);
  const digest = digestOf(bytes);
  const named = reply.headers['docker-content-digest'];
  const promised = expected ?? (typeof named === 'string' && isDigest(named) ? named : digest);
  if (digest !== promised) {
    throw new RegistryError('REGISTRY_FAILED', `${endpoint.host} sent ${digest} for ${image}, instead of ${promised}`, {
      transient: true,
    });
  }
  return parseDocument(bytes, reply.headers['content-type'], image);
}

function parseDocument(bytes: Buffer, contentType: string | undefined, image: string): Document {
  const unreadable = (why: string, cause?: unknown): RegistryError =>
    new RegistryError('IMAGE_NOT_FOUND', `${image} is not an image that can be read: ${why}`, { cause });
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw unreadable('its manifest is not JSON', cause);
  }
  const kind = KindSchema.safeParse(json).data ?? {};
  if (kind.schemaVersion === 1) throw unreadable("it is in Docker's old schema 1; push it again with a current tool");
  // One digest must not mean two things to two readers (CVE-2021-41190).
  if (kind.manifests !== undefined && (kind.layers ?? kind.config) !== undefined) {
    throw unreadable('its manifest is an index as well');
  }
  const type = kind.mediaType ?? contentType?.split(';')[0]?.trim();
  const describe = (fallback: string, known: readonly string[]): Descriptor => ({
    mediaType: type !== undefined && known.includes(type) ? type : fallback,
    digest: digestOf(bytes),
    size: bytes.byteLength,
  });
  if (kind.manifests !== undefined) {
    const index = IndexSchema.safeParse(json);
    if (!index.success) throw unreadable('its index is malformed', index.error);
    const descriptor = describe(mediaType.ociIndex, [mediaType.ociIndex, mediaType.dockerIndex]);
    return { kind: 'index', descriptor, bytes, index: index.data };
  }
  const manifest = ManifestSchema.safeParse(json);
  if (!manifest.success) throw unreadable('its manifest is malformed', manifest.error);
  const descriptor = describe(mediaType.ociManifest, [mediaType.ociManifest, mediaType.dockerManifest]);
  return { kind: 'manifest', descriptor, bytes, manifest: manifest.data };
}

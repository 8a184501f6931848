import {
  type Descriptor,
  type Digest,
  digestOf,
  familiarReference,
  type ImageConfig,
  ImageConfigSchema,
  type Manifest,
  mediaType,
  type Platform,
  type Reference,
} from '#oci';
import { choosePlatform } from './choose-platform.ts';
import type { Endpoint } from './endpoint.ts';
import { acceptManifests, type Document, readDocument, readSmall } from './manifests.ts';
import { RegistryError } from './registry-error.ts';
import type { Requests } from './requests.ts';

/** An image for one platform, every part verified by its digest. */
export interface ResolvedManifest {
  /** the image that was asked for, whoever answered */
  readonly reference: Reference;
  /** of the manifest for the platform */
  readonly digest: Digest;
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly rawManifest: Uint8Array;
  readonly config: ImageConfig;
  readonly rawConfig: Uint8Array;
  /** a stand-in answered, because neither the registry nor its mirrors can be reached */
  readonly standIn: boolean;
}

const CONFIG_LIMIT_BYTES = 8 * 1024 * 1024;
const MAX_NESTED_INDEXES = 3;

export interface ImageQuery {
  readonly endpoint: Endpoint;
  readonly reference: Reference;
  readonly platform: Platform;
  readonly signal?: AbortSignal | undefined;
}

/** Tag or digest → index → manifest for the platform → config, all from one server. */
export async function resolveImage(requests: Requests, query: ImageQuery): Promise<ResolvedManifest> {
  const { endpoint, reference, platform } = query;
  const image = familiarReference(reference);
  let document = await getDocument(requests, query, reference.digest ?? reference.tag ?? 'latest', reference.digest);
  for (let depth = 0; document.kind === 'index'; depth++) {
    if (depth === MAX_NESTED_INDEXES) {
      throw new RegistryError('IMAGE_NOT_FOUND', `${image} is not an image that can be read: its indexes are nested`);
    }
    const { digest } = choosePlatform(document.index, platform, image);
    document = await getDocument(requests, query, digest, digest);
  }
  const { manifest, descriptor, bytes } = document;
  if (manifest.config.mediaType !== mediaType.ociConfig && manifest.config.mediaType !== mediaType.dockerConfig) {
    throw new RegistryError('IMAGE_NOT_FOUND', `${image} is not a container image, but ${manifest.config.mediaType}`);
  }
  const rawConfig = await getConfig(requests, query, manifest.config);
  return {
    reference,
    digest: descriptor.digest,
    descriptor,
    manifest,
    rawManifest: bytes,
    config: parseConfig(rawConfig, image),
    rawConfig,
    standIn: endpoint.kind === 'stand-in',
  };
}

/** A manifest or an index under a tag or a digest, as it is. */
export async function getDocument(
  requests: Requests,
  { endpoint, reference, signal }: Omit<ImageQuery, 'platform'>,
  name: string,
  expected: Digest | undefined,
): Promise<Document> {
  const image = familiarReference(reference);
  const reply = await requests.ask(
    {
      endpoint,
      method: 'GET',
      target: `manifests/${name}`,
      scopes: [`repository:${endpoint.repository}:pull`],
      headers: { accept: acceptManifests },
      signal,
    },
    { subject: `the image ${image}`, kind: 'image', expect: [200] },
  );
  return readDocument(reply, endpoint, image, expected);
}

async function getConfig(
  requests: Requests,
  { endpoint, reference, signal }: ImageQuery,
  { digest, size }: Descriptor,
): Promise<Buffer> {
  const reply = await requests.ask(
    {
      endpoint,
      method: 'GET',
      target: `blobs/${digest}`,
      scopes: [`repository:${endpoint.repository}:pull`],
      signal,
    },
    { subject: `the config ${digest} of ${familiarReference(reference)}`, kind: 'blob', expect: [200] },
  );
  const bytes = await readSmall(reply, endpoint, Math.min(size, CONFIG_LIMIT_BYTES));
  if (digestOf(bytes) === digest) return bytes;
  throw new RegistryError(
    'REGISTRY_FAILED',
    `${endpoint.host} sent ${digestOf(bytes)}, instead of the config ${digest} of ${familiarReference(reference)}`,
    { transient: true },
  );
}

function parseConfig(bytes: Buffer, image: string): ImageConfig {
  try {
    return ImageConfigSchema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new RegistryError('IMAGE_NOT_FOUND', `${image} is not an image that can be read: its config is malformed`, {
      cause,
    });
  }
}

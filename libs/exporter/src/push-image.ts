import type { Descriptor, Digest, Reference } from '#oci';
import type { PushOutcome, RegistryClient, Repository } from '#registry';
import { type Bytes, single } from '#std';
import { type Assembled, manifestsOf, topOf } from './assemble-index.ts';
import { pushBlobs } from './push-blobs.ts';

/** What happens while an image is pushed. */
export type PushEvent =
  | {
      readonly type: 'blob';
      readonly descriptor: Descriptor;
      readonly outcome: PushOutcome;
      /** the repository of the same registry that it was mounted from */
      readonly mountedFrom?: string | undefined;
    }
  | { readonly type: 'tagged'; readonly reference: Reference; readonly digest: Digest };

export interface PushOptions {
  readonly client: RegistryClient;
  readonly image: Assembled;
  /** with a tag, or by digest alone */
  readonly reference: Reference;
  /** asked only for what the registry lacks; again at each retry */
  readonly openLayer: (descriptor: Descriptor) => Bytes;
  /** repositories known to have a layer; those at the same registry are mounted from */
  readonly mountCandidates?: ReadonlyMap<Digest, readonly Repository[]> | undefined;
  readonly report: (event: PushEvent) => void;
  readonly signal: AbortSignal;
  /** the last word before the tag can be seen: throws when this process no longer owns the build */
  readonly beforeTag: () => Promise<void>;
}

/**
 * Layers and configs, of an index its manifests by digest, images before what refers to them, then the manifest or the index
 * under its tag.
 * Resolves to the bytes that really went up.
 * @throws KilnError REGISTRY_*, IMAGE_NOT_FOUND, and what `openLayer` and `beforeTag` throw
 */
export async function pushImage(options: PushOptions): Promise<{ readonly uploadedBytes: number }> {
  const { client, image, reference, mountCandidates, report, beforeTag, signal } = options;
  const manifests = manifestsOf(image);
  const configs = new Map(
    manifests.map(({ configDescriptor, configBytes }) => [configDescriptor.digest, configBytes] as const),
  );
  const pushing = {
    client,
    to: reference,
    open: (descriptor: Descriptor): Bytes => {
      const config = configs.get(descriptor.digest);
      return config === undefined ? options.openLayer(descriptor) : single(config);
    },
    mountCandidates,
    report: (descriptor: Descriptor, outcome: PushOutcome, mountedFrom?: string) =>
      report({ type: 'blob', descriptor, outcome, mountedFrom }),
    signal,
  };
  const layers = manifests.flatMap(({ manifest }) => manifest.layers);
  let uploadedBytes = await pushBlobs(layers, pushing);
  uploadedBytes += await pushBlobs(
    manifests.map(({ configDescriptor }) => configDescriptor),
    pushing,
  );
  const putDocument = async (at: Reference, descriptor: Descriptor, bytes: Uint8Array): Promise<void> => {
    if ((await client.headManifest(at, signal))?.digest === descriptor.digest) return;
    await client.pushManifest(at, descriptor.mediaType, bytes, signal);
    uploadedBytes += descriptor.size;
  };
  if (image.kind === 'index') {
    const { registry, repository } = reference;
    for (const { manifestDescriptor, manifestBytes } of manifests) {
      await putDocument({ registry, repository, digest: manifestDescriptor.digest }, manifestDescriptor, manifestBytes);
    }
  }

  await beforeTag();
  const { descriptor, bytes } = topOf(image);
  await putDocument(reference, descriptor, bytes);
  report({ type: 'tagged', reference, digest: descriptor.digest });
  return { uploadedBytes };
}

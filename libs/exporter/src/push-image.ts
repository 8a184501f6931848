import type { Descriptor, Digest, Reference } from '#oci';
import type { PushOutcome, RegistryClient, Repository } from '#registry';
import { type Bytes, single } from '#std';
import pLimit from 'p-limit';
import { type Assembled, imagesOf, topOf } from './assemble-index.ts';

/** What happens while an image is pushed. */
export type PushEvent =
  | { readonly type: 'blob'; readonly descriptor: Descriptor; readonly outcome: PushOutcome }
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

const PARALLEL_BLOBS = 4;

/**
 * Layers and configs, of several platforms their manifests by digest, then the manifest or the index under its tag.
 * Resolves to the bytes that really went up.
 * @throws KilnError REGISTRY_*, IMAGE_NOT_FOUND, and what `openLayer` and `beforeTag` throw
 */
export async function pushImage(options: PushOptions): Promise<{ readonly uploadedBytes: number }> {
  const { client, image, reference, report, beforeTag } = options;
  // The first blob that fails stops the others.
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const limit = pLimit(PARALLEL_BLOBS);
  let uploadedBytes = 0;
  const put = async (descriptor: Descriptor, open: () => Bytes): Promise<void> => {
    signal.throwIfAborted();
    const mountFrom = mountSource(options, descriptor.digest);
    const outcome = await client.pushBlob(reference, descriptor, open, { mountFrom }, signal);
    if (outcome === 'pushed') uploadedBytes += descriptor.size;
    report({ type: 'blob', descriptor, outcome });
  };
  const images = imagesOf(image);
  const layers = new Map(images.flatMap(({ manifest }) => manifest.layers.map((layer) => [layer.digest, layer])));
  const pushes = [...layers.values()].map((layer) =>
    limit(async () => {
      try {
        await put(layer, () => options.openLayer(layer));
      } catch (thrown) {
        stop.abort(thrown);
        throw thrown;
      }
    }),
  );
  const failed = (await Promise.allSettled(pushes)).some(({ status }) => status === 'rejected');
  if (failed) signal.throwIfAborted();
  for (const { configDescriptor, configBytes } of images) await put(configDescriptor, () => single(configBytes));
  const putDocument = async (at: Reference, descriptor: Descriptor, bytes: Uint8Array): Promise<void> => {
    if ((await client.headManifest(at, signal))?.digest === descriptor.digest) return;
    await client.pushManifest(at, descriptor.mediaType, bytes, signal);
    uploadedBytes += descriptor.size;
  };
  if (image.kind === 'index') {
    const { registry, repository } = reference;
    for (const { manifestDescriptor, manifestBytes } of images) {
      await putDocument({ registry, repository, digest: manifestDescriptor.digest }, manifestDescriptor, manifestBytes);
    }
  }

  await beforeTag();
  const { descriptor, bytes } = topOf(image);
  await putDocument(reference, descriptor, bytes);
  report({ type: 'tagged', reference, digest: descriptor.digest });
  return { uploadedBytes };
}

function mountSource({ mountCandidates, reference }: PushOptions, digest: Digest): string | undefined {
  return mountCandidates
    ?.get(digest)
    ?.find(({ registry, repository }) => registry === reference.registry && repository !== reference.repository)
    ?.repository;
}

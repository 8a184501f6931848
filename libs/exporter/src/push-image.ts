import type { Descriptor, Digest, Reference } from '#oci';
import type { PushOutcome, RegistryClient, Repository } from '#registry';
import { type Bytes, single } from '#std';
import pLimit from 'p-limit';
import type { AssembledImage } from './assemble-image.ts';

/** What happens while an image is pushed. */
export type PushEvent =
  | { readonly type: 'blob'; readonly descriptor: Descriptor; readonly outcome: PushOutcome }
  | { readonly type: 'tagged'; readonly reference: Reference; readonly digest: Digest };

export interface PushOptions {
  readonly client: RegistryClient;
  readonly image: AssembledImage;
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
 * Layers, config, then the manifest under its tag. Resolves to the bytes that really went up.
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
  const layers = new Map(image.manifest.layers.map((layer) => [layer.digest, layer]));
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
  await put(image.configDescriptor, () => single(image.configBytes));

  await beforeTag();
  const { digest, mediaType, size } = image.manifestDescriptor;
  if ((await client.headManifest(reference, signal))?.digest !== digest) {
    await client.pushManifest(reference, mediaType, image.manifestBytes, signal);
    uploadedBytes += size;
  }
  report({ type: 'tagged', reference, digest });
  return { uploadedBytes };
}

function mountSource({ mountCandidates, reference }: PushOptions, digest: Digest): string | undefined {
  return mountCandidates
    ?.get(digest)
    ?.find(({ registry, repository }) => registry === reference.registry && repository !== reference.repository)
    ?.repository;
}

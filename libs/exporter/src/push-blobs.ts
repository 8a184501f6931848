import type { Descriptor, Digest } from '#oci';
import type { PushOutcome, RegistryClient, Repository } from '#registry';
import type { Bytes } from '#std';
import pLimit from 'p-limit';

export interface BlobsOptions {
  readonly client: RegistryClient;
  readonly to: Repository;
  /** asked only for what the registry lacks; again at each retry */
  readonly open: (descriptor: Descriptor) => Bytes;
  /** repositories known to have a blob; those at the same registry are mounted from */
  readonly mountCandidates?: ReadonlyMap<Digest, readonly Repository[]> | undefined;
  /** @param mountedFrom the repository that it was mounted from */
  readonly report: (descriptor: Descriptor, outcome: PushOutcome, mountedFrom?: string) => void;
  readonly signal: AbortSignal;
}

const PARALLEL_BLOBS = 4;

/** Brings blobs into a repository, some at a time; the first that fails stops the others. Resolves to the bytes that really went up. */
export async function pushBlobs(blobs: readonly Descriptor[], options: BlobsOptions): Promise<number> {
  const { client, to, open, report } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const limit = pLimit(PARALLEL_BLOBS);
  let uploadedBytes = 0;
  const put = async (descriptor: Descriptor): Promise<void> => {
    signal.throwIfAborted();
    const mountFrom = mountSource(options, descriptor.digest);
    const outcome = await client.pushBlob(to, descriptor, () => open(descriptor), { mountFrom }, signal);
    if (outcome === 'pushed') uploadedBytes += descriptor.size;
    report(descriptor, outcome, outcome === 'mounted' ? mountFrom : undefined);
  };
  const distinct = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
  const pushes = distinct.map((descriptor) =>
    limit(() =>
      put(descriptor).catch((thrown: unknown) => {
        stop.abort(thrown);
        throw thrown;
      }),
    ),
  );
  const failed = (await Promise.allSettled(pushes)).some(({ status }) => status === 'rejected');
  if (failed) signal.throwIfAborted();
  return uploadedBytes;
}

function mountSource({ mountCandidates, to }: BlobsOptions, digest: Digest): string | undefined {
  return mountCandidates
    ?.get(digest)
    ?.find(({ registry, repository }) => registry === to.registry && repository !== to.repository)?.repository;
}

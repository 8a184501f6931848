import { type ContentStore, delegate } from '#content';
import type { Descriptor, Digest } from '#oci';
import type { RegistryClient, Repository } from '#registry';
import { isKilnError, KilnError, messageOf } from '#std';
import type { BlobGrants } from './job.ts';

/** A blob, and the repository that has it. */
export interface BlobPlace extends Repository {
  readonly descriptor: Descriptor;
}

/** What a project remembers of blobs that its results name and that have not come yet. */
export interface BlobPlaces {
  find(digests: readonly Digest[]): Promise<ReadonlyMap<Digest, BlobPlace>>;
  keep(places: readonly BlobPlace[]): Promise<void>;
  /** they have come, or are there no more */
  forget(digests: readonly Digest[]): Promise<void>;
}

export interface PlacedBlobsOptions {
  readonly near: ContentStore;
  readonly places: BlobPlaces;
  readonly registry: RegistryClient;
  readonly grants: BlobGrants;
  readonly onPulled: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Blobs that lie somewhere else until somebody reads them. Until then the project has not shown that it may have them: that
 * the farm has the same bytes of another project counts for nothing.
 */
export class PlacedBlobs {
  readonly #options: PlacedBlobsOptions;
  readonly #places = new Map<Digest, BlobPlace>();
  /** those that are made of others */
  readonly #makers = new Map<Digest, () => Promise<void>>();
  readonly #flights = new Map<Digest, Promise<void>>();
  /** the farm's content with them in it */
  readonly content: ContentStore;
  /** nobody is given what has not come */
  readonly grants: BlobGrants;

  constructor(options: PlacedBlobsOptions) {
    this.#options = options;
    const { near, grants } = options;
    const bring = (digest: Digest): Promise<void> => this.#bring(digest);
    const isElsewhere = (digest: Digest): boolean => this.isElsewhere(digest);
    const find = (digests: ReadonlySet<Digest>): Promise<void> => this.#find(digests);
    this.content = {
      ...delegate(near),
      async *get(digest, signal) {
        if (isElsewhere(digest)) await bring(digest);
        yield* near.get(digest, signal);
      },
      async findMissing(digests, signal) {
        const [missing] = await Promise.all([near.findMissing(digests, signal), find(digests)]);
        return new Set([...missing].filter((digest) => !isElsewhere(digest)));
      },
    };
    const come = (blobs: readonly Descriptor[]) => blobs.filter(({ digest }) => !isElsewhere(digest));
    this.grants = {
      grant: (blobs, signal) => grants.grant(come(blobs), signal),
      keep: (blobs, signal) => grants.keep(come(blobs), signal),
      missing: (digests, signal) => grants.missing(digests, signal),
    };
  }

  isElsewhere(digest: Digest): boolean {
    return this.#places.has(digest) || this.#makers.has(digest);
  }

  /** Of a result that this build begins to use. */
  offer(place: BlobPlace): void {
    this.#places.set(place.descriptor.digest, place);
  }

  /** @param make stores the blob, or throws KilnError BLOB_MISSING */
  offerMade(digest: Digest, make: () => Promise<void>): void {
    this.#makers.set(digest, make);
  }

  /** So that later builds find them, too. False when they would miss some. */
  async keep(digests: readonly Digest[]): Promise<boolean> {
    await this.#options.places.keep(digests.flatMap((digest) => this.#places.get(digest) ?? []));
    return !digests.some((digest) => this.#makers.has(digest));
  }

  /** They cannot be had. */
  async forget(digests: ReadonlySet<Digest>): Promise<void> {
    const known = [...digests].filter((digest) => this.isElsewhere(digest));
    for (const digest of known) {
      this.#places.delete(digest);
      this.#makers.delete(digest);
    }
    await this.#options.places.forget(known);
  }

  /** Where a registry may mount them from. */
  repositories(): ReadonlyMap<Digest, readonly Repository[]> {
    return new Map(
      [...this.#places].map(([digest, { registry, repository }]) => [digest, [{ registry, repository }]] as const),
    );
  }

  async #find(digests: ReadonlySet<Digest>): Promise<void> {
    const unknown = [...digests].filter((digest) => !this.isElsewhere(digest));
    if (unknown.length === 0) return;
    for (const [digest, place] of await this.#options.places.find(unknown)) this.#places.set(digest, place);
  }

  #bring(digest: Digest): Promise<void> {
    let flight = this.#flights.get(digest);
    if (flight === undefined) {
      flight = this.#fetch(digest).finally(() => this.#flights.delete(digest));
      this.#flights.set(digest, flight);
    }
    return flight;
  }

  async #fetch(digest: Digest): Promise<void> {
    const { places, grants, signal } = this.#options;
    const place = this.#places.get(digest);
    if (place === undefined) {
      await this.#makers.get(digest)?.();
      this.#makers.delete(digest);
      return;
    }
    await this.#copy(place);
    await grants.grant([place.descriptor], signal);
    await places.forget([digest]);
    this.#places.delete(digest);
  }

  async #copy({ registry: host, repository, descriptor }: BlobPlace): Promise<void> {
    const { near, registry, onPulled, signal } = this.#options;
    const source = { registry: host, repository };
    try {
      // A store need not read what it has already, and the bytes have to be seen.
      if ((await near.findMissing(new Set([descriptor.digest]), signal)).size > 0)
        await registry.copyBlob(source, descriptor, { into: near, onBytes: onPulled }, signal);
      else for await (const chunk of registry.fetchBlob(source, descriptor, signal)) onPulled(chunk.byteLength);
    } catch (cause) {
      signal.throwIfAborted();
      if (!isKilnError(cause, 'IMAGE_NOT_FOUND', 'REGISTRY_DENIED', 'REGISTRY_FAILED', 'REGISTRY_UNREACHABLE'))
        throw cause;
      const message = `the cached blob ${descriptor.digest} cannot be had from ${host}/${repository}: ${messageOf(cause)}`;
      throw new KilnError('BLOB_MISSING', message, { cause });
    }
  }
}

/** Sees to it that layers are here, whoever has unpacked the same ones on this node before. */
export async function bringLayers(
  content: ContentStore,
  placed: Pick<PlacedBlobs, 'isElsewhere'>,
  layers: readonly { readonly descriptor: Descriptor }[],
  signal: AbortSignal,
): Promise<void> {
  for (const { descriptor } of layers) {
    if (!placed.isElsewhere(descriptor.digest)) continue;
    const bytes = content.get(descriptor.digest, signal)[Symbol.asyncIterator]();
    await bytes.next();
    await bytes.return?.();
  }
}

import type { ImageResolver, ResolvedImage } from '#graph';
import type { ContentStore } from '#content';
import {
  type Digest,
  type Descriptor,
  familiarReference,
  formatPlatform,
  type ImageConfig,
  type Layer,
  type Manifest,
  parseReference,
  type Platform,
} from '#oci';
import type { BuildEvent } from '#protocol';
import type { RegistryClient, Source } from '#registry';
import { type Bytes, type Clock, KilnError } from '#std';
import pLimit from 'p-limit';
import type { BlobGrants } from './job.ts';

/** A pinned image: what its registry said. */
export interface PinnedImage {
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** made by the embedded farm because the real registry cannot be reached */
  readonly standIn: boolean;
}

/** What tags stood for, for a while; `known`: whether the build has credentials for the registry. */
export interface TagCache {
  get(
    reference: string,
    platform: string,
    known: boolean,
  ): Promise<{ readonly image: PinnedImage; readonly resolvedAtMs: number } | null>;
  put(
    reference: string,
    platform: string,
    image: PinnedImage,
    found: { readonly resolvedAtMs: number; readonly known: boolean },
  ): Promise<void>;
}

export interface ImagesOptions {
  readonly registry: RegistryClient;
  readonly tags: TagCache;
  readonly content: ContentStore;
  readonly grants: Pick<BlobGrants, 'grant' | 'missing'>;
  readonly clock: Clock;
  /** how long a tag is taken to stand for what it stood for */
  readonly tagTtlMs: number;
  /** ask the registries anew */
  readonly pull: boolean;
  /** each reference that a stand-in answered, once */
  readonly onStandIn: (reference: string) => void;
  readonly onPulled: (bytes: number) => void;
  readonly report: (event: BuildEvent) => void;
}

const TELL_MS = 500;
/** Questions for rights at a time. */
const PROOFS = 4;

/** A pinned image, and where its blobs are. */
export interface KnownImage {
  readonly image: PinnedImage;
  /** `registry/repository`; undefined for what no registry has */
  readonly reference: string | undefined;
}

/** The images of one build: resolves references, and opens the layers of what it resolved. */
export class Images implements ImageResolver {
  readonly #pins = new Map<string, Promise<PinnedImage>>();
  readonly #byDigest = new Map<Digest, KnownImage>();
  /** blobs that the project may have, as this build knows */
  readonly #proven = new Set<Digest>();

  constructor(readonly options: ImagesOptions) {}

  async resolve(reference: string, platform: Platform, signal?: AbortSignal): Promise<ResolvedImage> {
    const parsed = parseReference(reference);
    const key = `${reference} ${formatPlatform(platform)}`;
    let pin = this.#pins.get(key);
    if (pin === undefined) {
      pin = this.#pin(reference, platform, signal);
      this.#pins.set(key, pin);
    }
    const image = await pin;
    const name = `${parsed.registry}/${parsed.repository}`;
    this.adopt({ image, reference: name });
    return { reference: name, digest: image.digest, config: image.config };
  }

  /** Makes an image known that nobody needs to be asked for. */
  adopt(known: KnownImage): void {
    this.#byDigest.set(known.image.digest, known);
  }

  /** @throws KilnError INTERNAL for an image that this build did not resolve */
  known(digest: Digest): KnownImage {
    const known = this.#byDigest.get(digest);
    if (known === undefined) throw new KilnError('INTERNAL', `the image ${digest} was not resolved by this build`);
    return known;
  }

  /** @throws KilnError INTERNAL for an image that this build did not resolve */
  layersOf(digest: Digest): readonly Layer[] {
    const { image } = this.known(digest);
    const diffIds = image.config.rootfs.diff_ids ?? [];
    if (diffIds.length !== image.manifest.layers.length) {
      throw new KilnError(
        'IMAGE_NOT_FOUND',
        `the image ${digest} has ${image.manifest.layers.length} layers and ${diffIds.length} diffIDs`,
      );
    }
    return image.manifest.layers.map(({ mediaType, digest: blob, size }, index) => {
      const diffId = diffIds[index];
      if (diffId === undefined) throw new KilnError('INTERNAL', 'a layer without diffID');
      return { descriptor: { mediaType, digest: blob, size }, diffId };
    });
  }

  /** A blob of one of this build's images: from the content store, else from its registry by way of the store. */
  async *open(image: Digest, descriptor: Descriptor, signal: AbortSignal): Bytes {
    await this.ensure(image, [descriptor], signal);
    yield* this.options.content.get(descriptor.digest, signal);
  }

  /** Brings those of an image's blobs into the content store that are not there. @throws KilnError as {@link checkRights} */
  async ensure(image: Digest, descriptors: readonly Descriptor[], signal: AbortSignal): Promise<void> {
    const { content, grants, registry, onPulled } = this.options;
    const missing = await content.findMissing(new Set(descriptors.map(({ digest }) => digest)), signal);
    const absent = descriptors.filter(({ digest }) => missing.has(digest));
    await this.checkRights(
      image,
      descriptors.filter(({ digest }) => !missing.has(digest)),
      signal,
    );
    if (absent.length === 0) return;
    const { source, name } = this.#sourceOf(image, missing);
    for (const descriptor of absent) {
      const told = this.#telling(name, descriptor);
      const onBytes = (bytes: number): void => {
        onPulled(bytes);
        told.add(bytes);
      };
      await registry.copyBlob(source, descriptor, { into: content, onBytes }, signal);
      told.end();
    }
    await grants.grant(absent, signal);
  }

  /**
   * A manifest may name any digest: what the farm has of one, or has made of it, is this project's once its registry lets this
   * build have the blob.
   * @throws KilnError as the registry does where it does not; BLOB_MISSING for what no registry has
   */
  async checkRights(image: Digest, descriptors: readonly Descriptor[], signal: AbortSignal): Promise<void> {
    const { content, grants } = this.options;
    const asked = descriptors.filter(({ digest }) => !this.#proven.has(digest));
    if (asked.length === 0) return;
    const unproven = await grants.missing(
      asked.map(({ digest }) => digest),
      signal,
    );
    for (const { digest } of asked) if (!unproven.has(digest)) this.#proven.add(digest);
    if (unproven.size === 0) return;
    const { source } = this.#sourceOf(image, unproven);
    const limit = pLimit(PROOFS);
    const doubtful = asked.filter(({ digest }) => unproven.has(digest));
    const proofs = doubtful.map((descriptor) => limit(() => this.#prove(source, descriptor, signal)));
    await Promise.allSettled(proofs);
    await Promise.all(proofs);
    const absent = await content.findMissing(unproven, signal);
    await grants.grant(
      doubtful.filter(({ digest }) => !absent.has(digest)),
      signal,
    );
    for (const digest of unproven) this.#proven.add(digest);
  }

  #sourceOf(image: Digest, wanted: ReadonlySet<Digest>): { readonly source: Source; readonly name: string } {
    const { reference, image: pinned } = this.known(image);
    if (reference === undefined) throw lostLayout(image, wanted);
    const { registry, repository } = parseReference(reference);
    return { source: { registry, repository, standIn: pinned.standIn }, name: `${registry}/${repository}` };
  }

  /** @throws KilnError when the registry does not give this build the blob */
  async #prove(source: Source, descriptor: Descriptor, signal: AbortSignal): Promise<void> {
    const { registry, onPulled } = this.options;
    try {
      await registry.checkBlob(source, descriptor, signal);
    } catch {
      signal.throwIfAborted();
      // Not every registry answers HEAD as it answers GET; what it refuses to give fails here by its own words.
      for await (const chunk of registry.fetchBlob(source, descriptor, signal)) onPulled(chunk.byteLength);
    }
  }

  /** A pull is somebody's step's wait, and shown by its own name. */
  #telling(image: string, { digest, size }: Descriptor): { add(bytes: number): void; end(): void } {
    const { clock, report } = this.options;
    const name = `pulling ${image} ${digest.slice(0, 'sha256:'.length + 12)}`;
    const progress = { type: 'progress', id: `pull ${digest}`, name, unit: 'bytes', total: size } as const;
    let current = 0;
    let toldMs = clock.nowMs();
    const tell = (done: boolean): void => report({ ...progress, atMs: clock.nowMs(), current, done });
    tell(false);
    return {
      add(bytes) {
        current += bytes;
        if (clock.nowMs() - toldMs < TELL_MS) return;
        toldMs = clock.nowMs();
        tell(false);
      },
      end: () => tell(true),
    };
  }

  async #pin(text: string, platform: Platform, signal?: AbortSignal): Promise<PinnedImage> {
    const { tags, clock, tagTtlMs, pull, registry, onStandIn } = this.options;
    const reference = parseReference(text);
    const target = formatPlatform(platform);
    const known = await registry.knows(reference);
    const cached = await tags.get(text, target, known);
    const fresh =
      cached !== null && (reference.digest !== undefined || (!pull && clock.nowMs() - cached.resolvedAtMs < tagTtlMs));
    if (fresh) {
      if (cached.image.standIn) onStandIn(familiarReference(reference));
      return cached.image;
    }
    const { digest, manifest, config, standIn } = await registry.resolve(reference, platform, signal);
    const image = { digest, manifest, config, standIn };
    await tags.put(text, target, image, { resolvedAtMs: clock.nowMs(), known });
    if (standIn) onStandIn(familiarReference(reference));
    return image;
  }
}

function lostLayout(image: Digest, missing: ReadonlySet<Digest>): KilnError {
  return new KilnError('BLOB_MISSING', `the image ${image} came with the build, and lacks ${[...missing].join(', ')}`, {
    hint: 'build again: the layout is sent anew',
  });
}

import type { CacheStore, KeyBook, Producer, StepRun } from '#cache';
import type { ContentStore, Retain } from '#content';
import type { ContextManifest } from '#context';
import type { NodePlatforms } from '#executor';
import type { Vertex } from '#graph';
import type { Descriptor, Digest, Platform } from '#oci';
import type { BuildResult, Entitlement, ImageContent, StoredRequest } from '#protocol';
import type { RegistryClient, Repository } from '#registry';
import type { GitRepositories, WebClient } from '#remote';
import type { Differ } from '#snapshot';
import type { Explaining } from '#solver';
import type { Clock } from '#std';
import type { CacheMounts } from './cache-mounts.ts';
import type { FarmFlights } from './follow-flight.ts';
import type { TagCache } from './images.ts';
import type { LayerVariantIndex } from './layer-variants.ts';
import type { Materialiser } from './materialiser.ts';
import type { MountVersions } from './mount-versions.ts';
import type { BlobPlaces } from './placed-blobs.ts';
import type { PinnedPart } from './part-pins.ts';
import type { Elsewhere } from './placement.ts';
import type { ExecSettings } from './run-exec.ts';
import type { BuildSession } from './session.ts';
import type { SnapshotRoom } from './snapshot-room.ts';
import type { SourceMemory } from './source-memory.ts';
import type { EventSink } from './step-logs.ts';
import type { FindContentKeys } from './step-results.ts';

/** What a node brings to every build. */
export interface EngineNode {
  readonly content: ContentStore;
  readonly materialiser: Materialiser;
  /** of the materialiser's snapshots */
  readonly room: Pick<SnapshotRoom, 'enter'>;
  readonly differ: Differ;
  readonly exec: ExecSettings;
  readonly caches: CacheMounts;
  /** what steps may be given beyond the sandbox */
  readonly entitlements: readonly Entitlement[];
  readonly web: WebClient;
  readonly git: GitRepositories;
  readonly fetchLimits: FetchLimits;
  readonly platforms: NodePlatforms;
  readonly clock: Clock;
  /** steps of one build that run at a time */
  readonly parallelism: number;
  readonly tagTtlMs: number;
}

/** One build, with what it may use and where it reports. */
export interface BuildJobInput {
  readonly request: StoredRequest;
  /** BUILDPLATFORM, and what the image is for when the request names nothing */
  readonly buildPlatform: Platform;
  /** only these steps of another build, which runs elsewhere; undefined for a build of its own */
  readonly part?: PinnedPart | undefined;
  /** the rest of the farm; undefined for a part */
  readonly elsewhere?: Elsewhere | undefined;
  readonly context: ContextManifest;
  readonly contextSentBytes: number;
  /** named contexts that came with the request, by name */
  readonly contexts: ReadonlyMap<string, ContextManifest>;
  readonly producer: Producer;
  /** the project's name */
  readonly project: string;
  readonly cache: CacheStore;
  /** what other builds run; undefined where there are none */
  readonly flights?: FarmFlights | undefined;
  /** told of every step that is about to run on this node */
  readonly onRun?: ((vertex: Vertex) => void) | undefined;
  /** told of what each step gave that ran on this node, before its record is saved; does not fail */
  readonly onRan?: ((run: StepRun) => Promise<void>) | undefined;
  /** what tells why steps miss; without it they miss without a reason */
  readonly explain?: { readonly book: KeyBook; readonly onFailure: Explaining['onFailure'] } | undefined;
  readonly tags: TagCache;
  readonly images: ProjectImages;
  readonly sources: SourceMemory;
  readonly registry: RegistryClient;
  readonly grants: BlobGrants;
  /** keeps blobs from collection for as long as the build is held */
  readonly retain: Retain;
  readonly variants: LayerVariantIndex;
  readonly places: BlobPlaces;
  readonly findContentKeys: FindContentKeys;
  readonly session: BuildSession;
  /** whose cache mounts steps see: project and scope */
  readonly cacheOwner: string;
  /** what other builders left in them */
  readonly mountVersions: MountVersions;
  readonly emit: EventSink;
  /** Takes the answer of a build whose outputs are out while its cache is still written; resolves when it is durable. */
  readonly deliver: (result: BuildResult) => Promise<void>;
  /** @throws KilnError FENCED when the build has gone to another builder */
  readonly checkFence: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** An image on its way to those who ask the project for it. */
export interface KeptImage {
  readonly image: ImageContent;
  /** full ones, with tags */
  readonly names: readonly string[];
  /** all blobs are in the content store, and stay there */
  readonly kept: boolean;
  /** index, manifests, configs: kept in any case */
  readonly documents: readonly Descriptor[];
  readonly layers: readonly Descriptor[];
  /** lists of what the layers change: kept in any case, as far as they come to be stored */
  readonly deltas: readonly Descriptor[];
}

/** The images of the project, in the build's scope and those that it inherits. */
export interface ProjectImages {
  /** @throws KilnError FENCED, BLOB_MISSING when a blob was collected meanwhile */
  keep(image: KeptImage): Promise<void>;
  /** @throws KilnError NOT_FOUND */
  read(digest: Digest): Promise<ImageContent>;
  /** Where blobs of its images were pushed to. */
  places(digests: readonly Digest[]): Promise<ReadonlyMap<Digest, readonly Repository[]>>;
  /** An image has been pushed under these full names; under none it was of use. @throws KilnError FENCED */
  pushed(digest: Digest, names: readonly string[]): Promise<void>;
}

/** Lets the project see blobs that its builds made. */
export interface BlobGrants {
  /** @throws KilnError BLOB_MISSING when one was collected meanwhile */
  grant(blobs: readonly Descriptor[], signal?: AbortSignal): Promise<void>;
  /** Those that the project may not see. */
  missing(digests: readonly Digest[], signal?: AbortSignal): Promise<ReadonlySet<Digest>>;
  /** The same for what is of use after the build whether anything refers to it or not: kept for a time. */
  keep(blobs: readonly Descriptor[], signal?: AbortSignal): Promise<void>;
}

/** Of each file and each repository that a build fetches. */
export interface FetchLimits {
  readonly maxBytes: number;
  readonly maxFiles: number;
}

import type { CacheStore, Producer } from '#cache';
import type { ContentStore } from '#content';
import type { ContextManifest } from '#context';
import type { NodePlatforms } from '#executor';
import type { Descriptor, Platform } from '#oci';
import type { StoredRequest } from '#protocol';
import type { RegistryClient } from '#registry';
import type { Differ } from '#snapshot';
import type { Part } from '#solver';
import type { Clock } from '#std';
import type { TagCache } from './images.ts';
import type { Materialiser } from './materialiser.ts';
import type { Elsewhere } from './placement.ts';
import type { ExecSettings } from './run-exec.ts';
import type { EventSink } from './step-logs.ts';

/** What a node brings to every build. */
export interface EngineNode {
  readonly content: ContentStore;
  readonly materialiser: Materialiser;
  readonly differ: Differ;
  readonly exec: ExecSettings;
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
  readonly part?: Part | undefined;
  /** the rest of the farm; undefined for a part */
  readonly elsewhere?: Elsewhere | undefined;
  readonly context: ContextManifest;
  readonly contextSentBytes: number;
  readonly producer: Producer;
  readonly cache: CacheStore;
  readonly tags: TagCache;
  readonly registry: RegistryClient;
  readonly grants: BlobGrants;
  readonly emit: EventSink;
  /** @throws KilnError FENCED when the build has gone to another builder */
  readonly checkFence: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** Lets the project see blobs that its builds made. */
export interface BlobGrants {
  grant(blobs: readonly Descriptor[], signal?: AbortSignal): Promise<void>;
}

import type { Digest } from '#oci';
import type { BuildJob, StoredRequest } from '#protocol';

export interface ScopeRef {
  readonly projectId: string;
  readonly id: string;
  readonly name: string;
}

/** The context as it was sent. */
export interface StoredContext {
  /** of the manifest blob */
  readonly digest: Digest;
  readonly files: number;
  /** of all files */
  readonly sizeBytes: number;
  /** what crossed the wire */
  readonly sentBytes: number;
}

/** A named context as it was sent. */
export interface StoredNamedContext extends StoredContext {
  /** as the request has it */
  readonly name: string;
}

/**
 * A builder's hold on a build. Everything that the build makes visible goes through it: once the build has gone to another
 * builder, or has ended, each such call throws KilnError FENCED.
 */
export interface Claim extends BuildJob {
  readonly builderId: string;
  /** higher than that of every earlier claim in the farm */
  readonly fence: number;
  readonly projectId: string;
  readonly project: string;
  /** the scope that the build writes to, then those that it inherits: what it reads, in this order */
  readonly scopes: readonly [ScopeRef, ...ScopeRef[]];
  /** of other projects, which the build reads after its own; each `name` with its project's */
  readonly sharedScopes: readonly ScopeRef[];
  readonly request: StoredRequest;
  readonly context: StoredContext;
  readonly namedContexts: readonly StoredNamedContext[];
  /** registry credentials, sealed for `build:<id>` */
  readonly sealed: Uint8Array | null;
  /** number of the last event, 0 for none */
  readonly lastSeq: number;
  /** null: it is not to be cancelled */
  readonly cancelReason: string | null;
  /** for a part of another build: which steps, as the engine wrote it */
  readonly part: { readonly text: string; readonly platform: string; readonly parentId: string } | null;
}

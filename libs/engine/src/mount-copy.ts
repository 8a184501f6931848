import { type Digest, digestOf, hexOf } from '#oci';
import { canonicalJson } from '#std';
import type { MountVersionId, MountVersions } from './mount-versions.ts';

/** Which cache is meant. Two that differ in anything but `sharing` and `target` share nothing. */
export interface CacheMountRequest {
  /** project and scope: nobody else sees what is in it */
  readonly owner: string;
  /** as the Dockerfile has it */
  readonly id: string;
  readonly target: string;
  /** what it begins with; undefined for nothing */
  readonly seed: Digest | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly sharing: 'shared' | 'private' | 'locked';
}

export interface CacheMountUse {
  /** makes a new one's directory what it is to begin with */
  readonly fill: (data: string) => Promise<void>;
  /** the farm's; undefined where there is this node alone */
  readonly versions?: MountVersions | undefined;
  readonly signal: AbortSignal;
  /** tells the step's readers something */
  readonly note: (text: string) => void;
}

/** A directory on this node. Its state besides the numbers of users is on disk, too. */
export interface MountCopy {
  readonly key: string;
  readonly number: number;
  readonly id: string;
  readonly scope: string;
  /** settles when the directory is what its users are to find */
  ready: () => Promise<void>;
  /** for whom it is made ready */
  maker: CacheMountUse | undefined;
  /** whether there is a directory */
  made: boolean;
  users: number;
  exclusive: boolean;
  usedAtMs: number;
  sizeBytes: number;
  /** while it is made another: then it is neither */
  torn: boolean;
  /** the version that it was made from, or became */
  base: MountVersionId | undefined;
  /** whether that version holds what was merged into it and is not here */
  behind: boolean;
  /** what a step that succeeded has left to be published */
  pending: Pending | undefined;
  /** while it is read for that, which a step ends */
  scan: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  /** how often steps have ended that */
  interruptions: number;
  /** while what was read is stored */
  uploading: boolean;
  /** why it stays on this builder, and whether a step's log has said so */
  tooLarge: { readonly why: string; told: boolean } | undefined;
}

export interface Pending {
  readonly request: CacheMountRequest;
  readonly versions: MountVersions;
  /** gives back what is held until it is published */
  readonly release: () => Promise<void>;
}

/** The name of a mount in every scope. */
export function mountOf({ id, seed, mode, uid, gid }: CacheMountRequest): Digest {
  return digestOf(canonicalJson({ v: 1, id, seed, mode, uid, gid }));
}

/** The name of a mount on this node. */
export function keyOf({ owner, id, seed, mode, uid, gid }: CacheMountRequest): string {
  return hexOf(digestOf(canonicalJson({ v: 1, owner, id, seed, mode, uid, gid })));
}

/** For people. */
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** Lost, damaged or out of reach for now: a directory does without, and the step goes on. */
export const UNREADABLE = ['BLOB_MISSING', 'BLOB_CORRUPT', 'UPSTREAM_UNAVAILABLE'] as const;

import type { Digest } from '#oci';

export interface MountVersionId {
  readonly scopeId: string;
  readonly version: number;
}

/** A version of a cache mount that all builders can fetch. */
export interface MountVersion extends MountVersionId {
  /** name of its scope */
  readonly scope: string;
  readonly manifest: Digest;
}

export interface NewMountVersion {
  readonly id: string;
  /** what the directory was made from */
  readonly base: MountVersionId | undefined;
  /** of its own scope, the newest that it holds too; undefined when it takes the place of whatever is there */
  readonly merged: { readonly newest: number | undefined } | undefined;
  readonly manifest: Digest;
  /** manifest and packs */
  readonly blobs: readonly { readonly digest: Digest; readonly sizeBytes: number }[];
  readonly sizeBytes: number;
  readonly entries: number;
}

/** What one build sees of the farm's cache mounts. */
export interface MountVersions {
  /** the only one that the build writes to */
  readonly scopeId: string;
  /** those to begin with, the best first: of the nearest scope, there the newest */
  versions(mount: Digest): Promise<readonly MountVersion[]>;
  /** notes that a version was of use */
  used(mount: Digest, version: MountVersionId): Promise<void>;
  /** @throws KilnError FENCED, CONFLICT when there is a newer one than what was merged */
  publish(
    mount: Digest,
    version: NewMountVersion,
  ): Promise<{ readonly version: number; readonly replaced: number | undefined }>;
  /** one of the own scope that cannot be read */
  forget(mount: Digest, version: MountVersionId): Promise<void>;
  /** whether the mount is now this holder's alone, on all builders */
  lock(mount: Digest, holder: string): Promise<boolean>;
  unlock(mount: Digest, holder: string): Promise<void>;
}

export const sameVersion = (a: MountVersionId | undefined, b: MountVersionId | undefined): boolean =>
  a?.scopeId === b?.scopeId && a?.version === b?.version;

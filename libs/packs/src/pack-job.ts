import type { Digest } from '#oci';
import type { IdShift } from '#snapshot';
import type { ErrorCode } from '#std';
import type { Pack } from './packed-tree.ts';
import type { PackFile } from './pack-writer.ts';
import type { TooLarge, WalkLimits } from './walk-directory.ts';

/** A manifest that was written to a file. */
export interface ManifestFile {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly packs: readonly Pack[];
  /** of the directory's files */
  readonly bytes: number;
  readonly entries: number;
}

/** Trees are named by files, so that nothing large passes between threads. */
export interface PackJobs {
  /** a directory's manifest, and packs of what is new in it */
  readonly scan: {
    readonly job: {
      readonly dir: string;
      readonly shift: IdShift;
      /** a regular expression */
      readonly skip: string | undefined;
      readonly limits: WalkLimits;
      /** the index that the last scan, or apply, of the directory left; it need not be there */
      readonly known: string;
      readonly lost: readonly Digest[];
      readonly packsDir: string | undefined;
      /** where the manifest goes */
      readonly manifest: string;
      /** where the same goes with what the next scan of this directory wants to know */
      readonly index: string;
    };
    readonly reply:
      | TooLarge
      | (ManifestFile & {
          readonly changed: boolean;
          readonly newPacks: readonly PackFile[];
          /** names in the directory itself */
          readonly names: readonly string[];
        });
  };
  readonly merge: {
    readonly job: {
      /** an index, which need not be there */
      readonly base: string;
      readonly theirs: string;
      readonly ours: string;
      readonly manifest: string;
    };
    readonly reply: ManifestFile;
  };
  /** which packs are needed to make a directory another; `from` undefined for an empty one */
  readonly plan: {
    readonly job: { readonly from: string | undefined; readonly to: string };
    readonly reply: readonly Pack[];
  };
  readonly apply: {
    readonly job: {
      readonly dir: string;
      readonly shift: IdShift;
      readonly from: string | undefined;
      readonly to: string;
      readonly packs: ReadonlyMap<Digest, string>;
      readonly index: string;
    };
    readonly reply: null;
  };
}
export type PackJobKind = keyof PackJobs;
/** What the thread gets. */
export type PackJob = { [K in PackJobKind]: { readonly kind: K; readonly job: PackJobs[K]['job'] } }[PackJobKind];

export type PackReply =
  | { readonly ok: true; readonly reply: PackJobs[PackJobKind]['reply'] }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly stack: string | undefined };

import type { Digest } from '#oci';

/** An image in a registry, pinned: the digest is that of the manifest for the vertex' platform. No inputs. */
export interface ImageOp {
  readonly kind: 'image';
  /** with registry and repository, without tag: what the digest is fetched from */
  readonly reference: string;
  readonly digest: Digest;
}

/** The empty tree. No inputs. */
export interface ScratchOp {
  readonly kind: 'scratch';
}

/** A tree that the client sent: `context`, or a named context. No inputs; its content is known to the caller. */
export interface LocalOp {
  readonly kind: 'local';
  readonly name: string;
}

/** Where a process finds its inline files. */
export const INLINE_FILES_DIR = '/dev/pipes';

/** A file whose text stands in the operation itself. */
export type InlineFile = Readonly<Record<'name' | 'text', string>>;

export type NetworkMode = 'default' | 'none';

/** One process on a root file system. Input 0 is the root. */
export interface ExecOp {
  readonly kind: 'exec';
  readonly args: readonly string[];
  /** `NAME=value`, in the order in which the process sees them; names are unique */
  readonly env: readonly string[];
  readonly cwd: string;
  /** as in USER: name or id, optionally `:group`; empty for root */
  readonly user: string;
  readonly network: NetworkMode;
  /** executables that the process finds in `/dev/pipes`, read-only, and that are in no layer */
  readonly files?: readonly InlineFile[] | undefined;
}

/** Copies what the patterns select from input 1 onto input 0, as one layer. */
export interface CopyOp {
  readonly kind: 'copy';
  /** relative to the source's root, slash-separated, may hold wildcards of Go's filepath.Match */
  readonly sources: readonly string[];
  /** absolute; ends in `/` when it has to be a directory */
  readonly dest: string;
  /** as in --chown: name or id, optionally `:group`; undefined for 0:0, or for --from the source's own */
  readonly chown?: string | undefined;
  /** permission bits to set on everything copied */
  readonly chmod?: number | undefined;
  /** ADD: a source file that is a tar (plain, gzip, bzip2, xz, zstd) is unpacked into `dest` */
  readonly unpack?: true | undefined;
  /** files that are put beside what is copied, after it: mode 0644, owner as of all */
  readonly inline?: readonly InlineFile[] | undefined;
}

/** Makes a directory and its parents where they are missing (WORKDIR). Input 0 is the root. */
export interface MkdirOp {
  readonly kind: 'mkdir';
  readonly path: string;
  readonly mode: number;
  /** owner of what is created; as in USER; undefined for 0:0 */
  readonly chown?: string | undefined;
}

/** Everything that the farm can do to a tree: small and closed, between every front end and every runner. */
export type Op = ImageOp | ScratchOp | LocalOp | ExecOp | CopyOp | MkdirOp;

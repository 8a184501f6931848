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

export type NetworkMode = 'default' | 'none' | 'host';

/** A file by HTTP, pinned by the digest of its bytes. Its tree has the one file `name`, mode 0600. No inputs. */
export interface HttpOp {
  readonly kind: 'http';
  readonly url: string;
  readonly digest: Digest;
  /** a plain file name */
  readonly name: string;
}

/** A git repository's files at one commit. No inputs. */
export interface GitOp {
  readonly kind: 'git';
  /** without fragment and credentials */
  readonly remote: string;
  /** what to fetch, where servers give no bare commits: a branch, a tag, or the commit */
  readonly ref: string;
  /** the whole commit, in hexadecimal */
  readonly commit: string;
  /** relative to the root of the repository; empty for all */
  readonly subdir: string;
  /** `.git` is a part of the tree */
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
}

/** What a process sees mounted. Nothing of it gets into the layer. */
export type ExecMount =
  /** a part of another input's tree; what is written to it is thrown away */
  | {
      readonly type: 'bind';
      readonly target: string;
      /** number of the vertex' input */
      readonly input: number;
      /** path in its tree; empty for all */
      readonly source: string;
      readonly readonly: boolean;
    }
  /** a directory that lives from build to build */
  | {
      readonly type: 'cache';
      readonly target: string;
      readonly id: string;
      readonly sharing: 'shared' | 'private' | 'locked';
      /** number of the input that it begins with; undefined for an empty directory */
      readonly input?: number | undefined;
      /** path in its tree; empty for all */
      readonly source: string;
      /** of the directory itself; undefined for its source's, or for 0755 and root */
      readonly mode?: number | undefined;
      readonly uid?: number | undefined;
      readonly gid?: number | undefined;
      readonly readonly: boolean;
    }
  | {
      readonly type: 'tmpfs';
      readonly target: string;
      readonly sizeBytes?: number | undefined;
      readonly readonly?: true | undefined;
    }
  | {
      readonly type: 'secret';
      readonly id: string;
      /** undefined where it is only a variable */
      readonly target?: string | undefined;
      /** name of the variable that holds it */
      readonly env?: string | undefined;
      /** over what it holds, under a key of the farm's: where the value counts in the step's keys */
      readonly keyed?: Digest | undefined;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  /** a socket on which the client's agent answers */
  | {
      readonly type: 'ssh';
      readonly id: string;
      readonly target: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

/** What a process may use, where that is less than what the farm gives. */
export type ExecLimits = {
  readonly memoryBytes?: number | undefined;
  /** thousandths of a processor */
  readonly cpuMillis?: number | undefined;
  readonly shmSizeBytes?: number | undefined;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | undefined;
};

/** One process on a root file system. Input 0 is the root, further ones are what mounts take. */
export interface ExecOp {
  readonly kind: 'exec';
  readonly args: readonly string[];
  /** `NAME=value`, in the order in which the process sees them; names are unique */
  readonly env: readonly string[];
  readonly cwd: string;
  /** as in USER: name or id, optionally `:group`; empty for root */
  readonly user: string;
  readonly network: NetworkMode;
  readonly security?: 'insecure' | undefined;
  readonly mounts?: readonly ExecMount[] | undefined;
  /** of the node, by their names in the Container Device Interface */
  readonly devices?: readonly { readonly name: string; readonly required: boolean }[] | undefined;
  /** for /etc/hosts */
  readonly extraHosts?: readonly Readonly<Record<'name' | 'address', string>>[] | undefined;
  readonly limits?: ExecLimits | undefined;
  /** `NAME=value` of proxies: seen by the process, and in no key */
  readonly proxyEnv?: readonly string[] | undefined;
  /** executables that the process finds in `/dev/pipes`, read-only, and that are in no layer */
  readonly files?: readonly InlineFile[] | undefined;
}

/** What a copy takes from one of its inputs. */
export type CopySources = {
  /** number of the vertex' input, from 1 */
  readonly input: number;
  /** relative to the source's root, slash-separated, may hold wildcards of Go's filepath.Match */
  readonly patterns: readonly string[];
  /** files that are tars (plain, gzip, bzip2, xz, zstd) are unpacked into `dest` */
  readonly unpack?: true | undefined;
};

/** Copies what is selected from the further inputs onto input 0, as one layer. */
export interface CopyOp {
  readonly kind: 'copy';
  /** in the order of the instruction */
  readonly from: readonly CopySources[];
  /** absolute; ends in `/` when it has to be a directory */
  readonly dest: string;
  /** as in --chown: name or id, optionally `:group`; undefined for 0:0, or for --from the source's own */
  readonly chown?: string | undefined;
  /** permission bits to set on everything copied, or a symbolic mode such as `u=rwX,go=rX` */
  readonly chmod?: number | string | undefined;
  /** sources keep their directories below `dest`, those before a `/./` excepted */
  readonly parents?: true | undefined;
  /** patterns, relative to each source's root, of what is left out */
  readonly excludes?: readonly string[] | undefined;
  /** files that are put beside what is copied, after it: mode 0644, owner as of all */
  readonly inline?: readonly InlineFile[] | undefined;
}

/** Puts the layer of input 1 (a copy onto the empty tree) on input 0, whatever is there. Nothing runs and no bytes move. */
export interface MergeOp {
  readonly kind: 'merge';
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
export type Op = ImageOp | ScratchOp | LocalOp | HttpOp | GitOp | ExecOp | CopyOp | MkdirOp | MergeOp;

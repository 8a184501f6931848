/** A file or directory of the node that the process sees. */
export interface BindMount {
  readonly kind: 'bind';
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
  /** programs in it may change their user, as those of the root may */
  readonly setuid?: boolean | undefined;
}

/** A file that is in memory alone, and only while the process runs. */
export interface FileMount {
  readonly kind: 'file';
  readonly target: string;
  readonly data: Uint8Array;
  /** permission bits */
  readonly mode: number;
  /** inside the sandbox */
  readonly uid: number;
  readonly gid: number;
}

/** An empty directory in memory. */
export interface TmpfsMount {
  readonly kind: 'tmpfs';
  readonly target: string;
  /** undefined for as much as the process may use */
  readonly sizeBytes?: number | undefined;
  readonly readonly: boolean;
}

export type SandboxMount = BindMount | FileMount | TmpfsMount;

/** `soft` and `hard` as in setrlimit(2); -1 for as much as the node gives. */
export interface Ulimit {
  /** as in ulimit flags of docker: `nofile` */
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

export interface Limits {
  readonly memoryBytes: number;
  readonly pids: number;
  /** share of cores, such as 1.5; undefined for all */
  readonly cpus?: number | undefined;
  /** of /dev/shm; 64 MiB by default */
  readonly shmSizeBytes?: number | undefined;
  /** none goes above what the node gives */
  readonly ulimits?: readonly Ulimit[] | undefined;
}

export interface ProcessSpec {
  /** unique on the node, at most 32 characters of [a-z0-9-] */
  readonly id: string;
  readonly args: readonly string[];
  /** kept in memory alone, as files are: there may be secrets in it */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly hostname: string;
  /** `host` is the node's own, with all that listens there */
  readonly network: 'default' | 'none' | 'host';
  /** for /etc/hosts */
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[] | undefined;
  /** all capabilities and system calls, within its user namespace */
  readonly insecure?: boolean | undefined;
  readonly limits: Limits;
  /** in any order: those nearer to the root are mounted first */
  readonly mounts: readonly SandboxMount[];
}

export interface Exit {
  readonly exitCode: number;
  /** the kernel ended it for want of memory */
  readonly outOfMemory: boolean;
}

/**
 * Stream 1 is standard output, 2 standard error; the chunk is only valid during the call. Nothing more is read from the
 * stream until a returned promise resolves, so a slow reader slows the process down instead of filling memory.
 */
export type OnOutput = (stream: 1 | 2, chunk: Uint8Array) => void | Promise<void>;

/** Runs one process in a sandbox. */
export interface Executor {
  /**
   * @param rootfs path of the mounted root, its files shifted as the sandbox's user namespace is
   * @throws KilnError SANDBOX_FAILED when it could not be started (the process did not run); the signal's reason when
   * aborted, after the process and all its children are gone
   */
  run(spec: ProcessSpec, rootfs: string, output: OnOutput, signal: AbortSignal): Promise<Exit>;
  /** Ends and removes what earlier processes of this builder left (containers, cgroups, network helpers). */
  sweep(): Promise<void>;
}

/** A file or directory of the node that the process sees. */
export interface BindMount {
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
}

export interface Limits {
  readonly memoryBytes: number;
  readonly pids: number;
  /** share of cores, such as 1.5; undefined for all */
  readonly cpus?: number | undefined;
}

export interface ProcessSpec {
  /** unique on the node, at most 32 characters of [a-z0-9-] */
  readonly id: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly hostname: string;
  readonly network: 'default' | 'none';
  readonly limits: Limits;
  readonly mounts: readonly BindMount[];
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

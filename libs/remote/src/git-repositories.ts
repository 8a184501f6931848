import { chmod, mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ContentStore } from '#content';
import type { ContextManifest } from '#context';
import { withoutCredentials } from '#graph';
import { type Clock, retry } from '#std';
import type { EgressProxy } from './egress-proxy.ts';
import { authorizationOf, type GitAuth } from './git-auth.ts';
import { gitEnvironment } from './git-environment.ts';
import { gitFailure } from './git-failure.ts';
import { runProgram } from './git-process.ts';
import { GitTreeReader } from './git-tree.ts';
import { chooseRef, isCommit, type ResolvedRef } from './git-refs.ts';
import { RemoteError } from './remote-failure.ts';

export interface GitLimits {
  /** of all files together, and of each pack */
  readonly maxBytes: number;
  readonly maxFiles: number;
  /** of one fetch, submodules included */
  readonly timeoutMs: number;
}

export interface GitRepositoriesOptions {
  /** for what is fetched, while it is read; nothing else may be in it, and nobody's processes have to be able to pass to it */
  readonly dir: string;
  readonly proxy: EgressProxy;
  readonly content: ContentStore;
  readonly clock: Clock;
  readonly limits: GitLimits;
  /** where programs are */
  readonly path: string;
  /** certificates of authorities, PEM, that nobody on the node can read */
  readonly caFile?: string | undefined;
}

/** Which files are wanted: as in the operation of the graph. */
export interface GitRequest {
  /** may hold credentials */
  readonly remote: string;
  readonly ref: string;
  readonly commit: string;
  readonly subdir: string;
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
}

const RESOLVE_MS = 60_000;
const ATTEMPTS = 3;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 4_000;

/**
 * Git repositories, read by git itself: as nobody, with no configuration but ours, and no way to the network but a proxy that
 * keeps the egress rules. Nothing is ever checked out: git streams a commit's files, which become blobs.
 */
export class GitRepositories {
  readonly #options: GitRepositoriesOptions;

  private constructor(options: GitRepositoriesOptions) {
    this.#options = options;
  }

  static async open(options: GitRepositoriesOptions): Promise<GitRepositories> {
    await rm(options.dir, { recursive: true, force: true });
    await mkdir(options.dir, { recursive: true });
    await chmod(options.dir, 0o711);
    return new GitRepositories(options);
  }

  /**
   * The commit that a ref stands for; a commit is one without asking.
   * @param checksum beginning of the commit that it has to be; empty for any
   * @throws KilnError SOURCE_NOT_FOUND, STEP_FAILED, UPSTREAM_UNAVAILABLE
   */
  async resolve(
    { remote, ref, checksum }: { readonly remote: string; readonly ref: string; readonly checksum: string },
    auth: GitAuth,
    signal: AbortSignal,
  ): Promise<ResolvedRef> {
    const { dir } = this.#options;
    if (isCommit(ref)) return chooseRef({ shown: withoutCredentials(remote), ref, checksum, listing: '' });
    const patterns = ref === '' ? ['--symref', 'origin', 'HEAD'] : ['origin', ref, `${ref}^{}`];
    return await this.#patiently(signal, async () => {
      const within = AbortSignal.any([signal, AbortSignal.timeout(RESOLVE_MS)]);
      const asked = this.#remotely({ remote, auth, named: true }, (env) =>
        runProgram(['git', 'ls-remote', ...patterns], { cwd: dir, env, maxFileBytes: 0, signal: within }),
      );
      const listing = await asked.catch((thrown: unknown) => {
        signal.throwIfAborted();
        throw within.aborted ? tooLate(remote, RESOLVE_MS) : thrown;
      });
      return chooseRef({ shown: withoutCredentials(remote), ref, checksum, listing });
    });
  }

  /**
   * A commit's files as blobs and their list; owner 0:0, mtimes those of the commit.
   * @throws KilnError SOURCE_NOT_FOUND, STEP_FAILED, LIMIT_EXCEEDED, UPSTREAM_UNAVAILABLE
   */
  async fetch(request: GitRequest, auth: GitAuth, signal: AbortSignal): Promise<ContextManifest> {
    const { dir, content, limits } = this.#options;
    const within = AbortSignal.any([signal, AbortSignal.timeout(limits.timeoutMs)]);
    return await this.#patiently(within, async () => {
      const reader = new GitTreeReader({
        dir,
        content,
        limits,
        localEnv: this.#environment(),
        remotely: (remote, named, work) => this.#remotely({ remote, auth, named }, work),
      });
      try {
        return await reader.read(request, within);
      } catch (thrown) {
        signal.throwIfAborted();
        if (!within.aborted) throw gitFailure(withoutCredentials(request.remote), thrown, new Set());
        throw tooLate(request.remote, limits.timeoutMs);
      }
    });
  }

  async #patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const options = { attempts: ATTEMPTS, firstDelayMs: FIRST_DELAY_MS, maxDelayMs: MAX_DELAY_MS };
    return await retry(
      {
        ...options,
        clock: this.#options.clock,
        retryable: (thrown) => thrown instanceof RemoteError && thrown.transient && !signal.aborted,
        signal,
      },
      work,
    );
  }

  /** Runs git with a way to one remote, known to it as `origin`. */
  async #remotely<T>(
    { remote, auth, named }: { readonly remote: string; readonly auth: GitAuth; readonly named: boolean },
    work: (env: Readonly<Record<string, string>>) => Promise<T>,
  ): Promise<T> {
    using session = this.#options.proxy.open();
    const authorization = authorizationOf(remote, auth, { named });
    try {
      return await work(this.#environment({ remote, proxy: session.url, authorization }));
    } catch (thrown) {
      throw gitFailure(withoutCredentials(remote), thrown, session.refused);
    }
  }

  #environment(way: Partial<Parameters<typeof gitEnvironment>[0]> = {}): Record<string, string> {
    const { path, caFile, dir } = this.#options;
    return { ...gitEnvironment({ path, caFile, ...way }), GIT_CEILING_DIRECTORIES: dirname(dir) };
  }
}

function tooLate(remote: string, timeoutMs: number): RemoteError {
  return new RemoteError(
    'UPSTREAM_UNAVAILABLE',
    `the git repository ${withoutCredentials(remote)} did not answer in whole within ${timeoutMs / 1000} s`,
    { hint: 'try again; name a commit or a branch, so that less is fetched' },
  );
}

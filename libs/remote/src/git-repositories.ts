import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { ContentStore } from '#content';
import type { ContextManifest } from '#context';
import { gitEndpoint, type GitEndpoint, withoutCredentials } from '#graph';
import { type Clock, isKilnError, KilnError, retry } from '#std';
import type { EgressProxy } from './egress-proxy.ts';
import { authorizationOf, type GitAccess } from './git-auth.ts';
import { gitEnvironment, type GitWay } from './git-environment.ts';
import { gitFailure } from './git-failure.ts';
import { runProgram, UNPRIVILEGED_ID } from './git-process.ts';
import { KNOWN_HOSTS_SECRET, knownHosts, sshCommand } from './git-ssh.ts';
import { GitTreeReader, type Surroundings } from './git-tree.ts';
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
  /** keys of hosts that every build may reach by ssh, as ssh keeps them */
  readonly knownHosts?: string | undefined;
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

interface Going {
  readonly remote: string;
  /** the remote that the build names */
  readonly root: string;
  readonly access: GitAccess;
  /** where git runs */
  readonly cwd: string;
  readonly signal: AbortSignal;
}

const RESOLVE_MS = 60_000;
const ATTEMPTS = 3;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 4_000;

/**
 * Git repositories, read by git itself: as nobody, with no configuration but ours, and no way to the network but a proxy (or a
 * tunnel of it) that keeps the egress rules. Nothing is ever checked out: git streams a commit's files, which become blobs.
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
    access: GitAccess,
    signal: AbortSignal,
  ): Promise<ResolvedRef> {
    const { dir } = this.#options;
    if (isCommit(ref)) return chooseRef({ shown: withoutCredentials(remote), ref, checksum, listing: '' });
    const patterns = ref === '' ? ['--symref', 'origin', 'HEAD'] : ['origin', ref, `${ref}^{}`];
    return await this.#patiently(signal, async () => {
      const within = AbortSignal.any([signal, AbortSignal.timeout(RESOLVE_MS)]);
      const asked = this.#remotely({ remote, root: remote, access, cwd: dir, signal: within }, (around) =>
        runProgram(['git', 'ls-remote', ...patterns], { cwd: dir, maxFileBytes: 0, ...around }),
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
  async fetch(request: GitRequest, access: GitAccess, signal: AbortSignal): Promise<ContextManifest> {
    const { dir, content, limits } = this.#options;
    const within = AbortSignal.any([signal, AbortSignal.timeout(limits.timeoutMs)]);
    return await this.#patiently(within, async () => {
      const reader = new GitTreeReader({
        dir,
        content,
        limits,
        localEnv: this.#environment(),
        remotely: (remote, cwd, work) =>
          this.#remotely({ remote, root: request.remote, access, cwd, signal: within }, work),
      });
      try {
        return await reader.read(request, within);
      } catch (thrown) {
        signal.throwIfAborted();
        if (!within.aborted) throw gitFailure(withoutCredentials(request.remote), thrown);
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
  async #remotely<T>(going: Going, work: (around: Surroundings) => Promise<T>): Promise<T> {
    const endpoint = gitEndpoint(going.remote);
    if (endpoint === undefined) {
      throw new KilnError('INVALID_ARGUMENT', `no git repository can be at ${withoutCredentials(going.remote)}`);
    }
    return endpoint.transport === 'http' || endpoint.transport === 'https'
      ? await this.#byWeb(going, work)
      : await this.#byTunnel(endpoint, going, work);
  }

  async #byWeb<T>({ remote, root, access, signal }: Going, work: (around: Surroundings) => Promise<T>): Promise<T> {
    using session = this.#options.proxy.open();
    const authorization = authorizationOf(remote, access.secret, root);
    try {
      const way: GitWay = { transport: 'web', proxy: session.url, authorization };
      return await work({ env: this.#environment({ remote, way }), signal });
    } catch (thrown) {
      throw gitFailure(withoutCredentials(remote), thrown, session);
    }
  }

  async #byTunnel<T>(
    endpoint: GitEndpoint,
    { remote, access, cwd, signal }: Going,
    work: (around: Surroundings) => Promise<T>,
  ): Promise<T> {
    const shown = withoutCredentials(remote);
    await using tunnel = await this.#options.proxy.tunnel(endpoint.host, endpoint.port);
    if (endpoint.transport === 'git') {
      try {
        return await work({
          env: this.#environment({ remote, way: { transport: 'git', port: tunnel.port } }),
          signal,
        });
      } catch (thrown) {
        throw gitFailure(shown, thrown, tunnel);
      }
    }
    await using agent = await access.agent(signal).catch((thrown: unknown) => {
      throw isKilnError(thrown, 'STEP_FAILED') ? byAgent(shown, thrown) : thrown;
    });
    await using hosts = await this.#knownHosts(access);
    try {
      // Relative: what is above the builder's directory may be closed to nobody, and a socket's path is short.
      const knownHostsFile = relative(cwd, hosts.path);
      const command = sshCommand(endpoint, { tunnelPort: tunnel.port, knownHostsFile });
      const way: GitWay = { transport: 'ssh', command, agent: relative(cwd, agent.path) };
      return await work({ env: this.#environment({ remote, way }), signal: AbortSignal.any([signal, agent.lost]) });
    } catch (thrown) {
      throw gitFailure(shown, thrown, tunnel);
    }
  }

  /** A file of nobody's own. */
  async #knownHosts(access: GitAccess): Promise<{ readonly path: string } & AsyncDisposable> {
    const { dir, knownHosts: ofFarm } = this.#options;
    const folder = await mkdtemp(join(dir, 'k-'));
    const path = join(folder, 'known_hosts');
    const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
    try {
      await chmod(folder, 0o711);
      await writeFile(path, knownHosts(access.secret(KNOWN_HOSTS_SECRET), ofFarm), { mode: 0o400 });
      await chown(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    } catch (thrown) {
      await remove();
      throw thrown;
    }
    return { path, [Symbol.asyncDispose]: remove };
  }

  #environment(remotely: { readonly remote?: string; readonly way?: GitWay } = {}): Record<string, string> {
    const { path, caFile, dir } = this.#options;
    return { ...gitEnvironment({ path, caFile, ...remotely }), GIT_CEILING_DIRECTORIES: dirname(dir) };
  }
}

function byAgent(shown: string, cause: KilnError): KilnError {
  const { message, hint } = cause;
  return new KilnError('STEP_FAILED', `the git repository ${shown} is read by ssh: ${message}`, { hint, cause });
}

function tooLate(remote: string, timeoutMs: number): RemoteError {
  return new RemoteError(
    'UPSTREAM_UNAVAILABLE',
    `the git repository ${withoutCredentials(remote)} did not answer in whole within ${timeoutMs / 1000} s`,
    { hint: 'try again; name a commit or a branch, so that less is fetched' },
  );
}

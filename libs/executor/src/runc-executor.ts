import { mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isKilnError, KilnError, type Logger, messageOf, systemCode } from '#std';
import { removeBundle } from './bundle.ts';
import { defaultCapabilities } from './capabilities.ts';
import { Cgroups } from './cgroups.ts';
import type { Executor, Exit, OnOutput, ProcessSpec } from './executor.ts';
import type { ResolveInRoot } from './mount-stubs.ts';
import { Runc } from './runc.ts';
import { runSandbox, type SandboxHost } from './run-sandbox.ts';
import type { IdMap } from './runtime-spec.ts';
import { readSeccompProfile, seccompFor } from './seccomp-profile.ts';

export interface RuncExecutorOptions {
  /** path of runc, or its name on the search path */
  readonly runtime: string;
  readonly slirp4netns: string;
  /**
   * A directory of this executor alone. Everyone must be able to pass through it and all above it (mode 0711): the root
   * of a sandbox is nobody on the node.
   */
  readonly root: string;
  /** absolute, of this executor alone, such as `/kiln/<farm>/<builder>` */
  readonly cgroupParent: string;
  readonly idMap: IdMap;
  readonly seccompProfile: string;
  /** the node's */
  readonly resolvConf: string;
  readonly resolveInRoot: ResolveInRoot;
  readonly logger: Logger;
}

/**
 * Sandboxes by runc: own user, mount, pid, network, ipc, uts and cgroup namespaces, Docker's capabilities, seccomp,
 * limits by control groups, outbound network by slirp4netns. Needs root, and /proc of its own pid namespace.
 */
export class RuncExecutor implements Executor {
  readonly #options: RuncExecutorOptions;
  readonly #host: SandboxHost;

  private constructor(options: RuncExecutorOptions, host: SandboxHost) {
    this.#options = options;
    this.#host = host;
  }

  /** @throws KilnError UNAVAILABLE when this node cannot have sandboxes as the options want them */
  static async open(options: RuncExecutorOptions): Promise<RuncExecutor> {
    const bundles = join(options.root, 'bundles');
    await mkdir(bundles, { recursive: true, mode: 0o711 });
    await refuseClosed(bundles);
    const profile = await readSeccompProfile(options.seccompProfile);
    return new RuncExecutor(options, {
      ...options,
      bundles,
      runc: new Runc(options.runtime, join(options.root, 'runc')),
      cgroups: await Cgroups.detect(),
      seccomp: seccompFor(profile, { capabilities: defaultCapabilities, arch: process.arch }),
    });
  }

  async run(spec: ProcessSpec, rootfs: string, output: OnOutput, signal: AbortSignal): Promise<Exit> {
    signal.throwIfAborted();
    if (!/^[a-z0-9-]{1,32}$/.test(spec.id))
      throw new KilnError('INVALID_ARGUMENT', `not the id of a sandbox: ${spec.id}`);
    try {
      await using resources = new AsyncDisposableStack();
      return await runSandbox({ host: this.#host, spec, rootfs, output, signal, resources });
    } catch (thrown) {
      signal.throwIfAborted();
      if (isKilnError(thrown) || systemCode(thrown) === undefined) throw thrown;
      throw new KilnError('SANDBOX_FAILED', `the sandbox could not be set up: ${messageOf(thrown)}`, { cause: thrown });
    }
  }

  async sweep(): Promise<void> {
    const { runc, cgroups, bundles } = this.#host;
    const { cgroupParent, logger } = this.#options;
    await cgroups.kill(cgroupParent);
    for (const id of await runc.list()) {
      logger.warn('removing a sandbox that an earlier process left', { id });
      await runc.delete(id);
    }
    await cgroups.kill(cgroupParent);
    await cgroups.remove(cgroupParent);
    await cgroups.removeEmptyParents(cgroupParent);
    for (const id of await readdir(bundles)) await removeBundle(join(bundles, id));
  }
}

/** The sandbox's root is an ordinary id on the node: a directory that is closed to others hides the sandbox from itself. */
async function refuseClosed(path: string): Promise<void> {
  for (let dir = path; ; dir = dirname(dir)) {
    const { mode } = await stat(dir);
    if ((mode & 0o001) === 0) {
      throw new KilnError('UNAVAILABLE', `sandboxes cannot live below ${dir}: others may not pass through it`, {
        hint: 'choose a directory such as /run/kiln, or chmod o+x',
      });
    }
    if (dir === dirname(dir)) return;
  }
}

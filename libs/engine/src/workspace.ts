import { chmod, mkdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { mountAll, type Mount, unmount } from '#snapshot';
import { type Random, randomId } from '#std';

/** The builder's own directory: mount points that live as long as their use. */
export class Workspace {
  private constructor(
    readonly dir: string,
    readonly random: Random,
  ) {}

  static async open(dir: string, random: Random): Promise<Workspace> {
    // Mounts died with the last process' mount namespace; what is left are empty directories.
    for (const name of ['mnt', 'agents']) await rm(join(dir, name), { recursive: true, force: true });
    for (const name of ['chains', 'deltas', 'pairs', 'tmp'])
      await mkdir(join(dir, name), { recursive: true, mode: 0o700 });
    // Steps are nobody here, and have to reach what is mounted from these.
    for (const name of ['mnt', 'agents']) {
      await mkdir(join(dir, name));
      await chmod(join(dir, name), 0o711);
    }
    return new Workspace(dir, random);
  }

  /** A name of its own for a snapshot, a container or a mount point. */
  name(prefix: string): string {
    return `${prefix}${randomId(this.random, 10)}`;
  }

  /** Mounts for as long as the returned object is not disposed of. */
  async mount(mounts: readonly Mount[]): Promise<Mounted> {
    const path = join(this.dir, 'mnt', this.name(''));
    await mkdir(path);
    try {
      await mountAll(mounts, path);
    } catch (thrown) {
      await rmdir(path);
      throw thrown;
    }
    const release = async (): Promise<void> => {
      await unmount(path);
      await rmdir(path);
    };
    return { path, [Symbol.asyncDispose]: release };
  }
}

export interface Mounted extends AsyncDisposable {
  readonly path: string;
}

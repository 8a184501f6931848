import { chmod, mkdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemCode } from '#std';
import { kernel } from './libc.ts';

const MS_BIND = 4096;
const MS_REC = 16384;
const MNT_DETACH = 2;
const unmountAttempts = 20;

/** One sandbox's directory: the runtime's bundle, the files that it sees, and its root. */
export class Bundle {
  readonly dir: string;
  readonly rootfs: string;
  #mounted = false;

  private constructor(dir: string) {
    this.dir = dir;
    this.rootfs = join(dir, 'rootfs');
  }

  /** The sandbox's root enters the directory with its own, unprivileged id: it may pass through, not look around. */
  static async create(dir: string): Promise<Bundle> {
    const bundle = new Bundle(dir);
    await mkdir(bundle.rootfs, { recursive: true });
    await chmod(dir, 0o711);
    await chmod(bundle.rootfs, 0o711);
    return bundle;
  }

  /** Makes a root that may lie in a closed directory visible here. */
  mountRoot(source: string): void {
    kernel.mount(source, this.rootfs, MS_BIND | MS_REC);
    this.#mounted = true;
  }

  async unmountRoot(): Promise<void> {
    if (this.#mounted) await unmount(this.rootfs);
    this.#mounted = false;
  }

  /** @returns its path */
  async write(name: string, text: string): Promise<string> {
    const path = join(this.dir, name);
    await writeFile(path, text, { mode: 0o644 });
    return path;
  }

  async remove(): Promise<void> {
    await this.unmountRoot();
    await removeBundle(this.dir);
  }
}

/** Removes a bundle's directory, but never what may still be mounted in it. */
export async function removeBundle(dir: string): Promise<void> {
  await unmount(join(dir, 'rootfs'));
  try {
    await rmdir(join(dir, 'rootfs'));
  } catch (thrown) {
    if (systemCode(thrown) !== 'ENOENT') throw thrown;
  }
  await rm(dir, { recursive: true, force: true });
}

async function unmount(target: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return kernel.unmount(target, attempt > unmountAttempts ? MNT_DETACH : 0);
    } catch (thrown) {
      const code = systemCode(thrown);
      if (code === 'EINVAL' || code === 'ENOENT') return;
      if (code !== 'EBUSY' || attempt > unmountAttempts) throw thrown;
    }
    await delay(5);
  }
}

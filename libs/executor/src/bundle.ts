import { chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { systemCode } from '#std';
import type { BindMount, FileMount } from './executor.ts';
import { kernel } from './libc.ts';
import type { IdMap } from './runtime-spec.ts';

const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_BIND = 4096;
const MS_REC = 16384;
const MNT_DETACH = 2;
const unmountAttempts = 20;
/** More than all files that a step may be given. */
const sizeBytes = 256 * 1024 * 1024;

/**
 * One sandbox's directory: the runtime's bundle, the files that it sees, and its root. It is in memory: the process'
 * environment and files may hold secrets, which no disk is to see.
 */
export class Bundle {
  readonly dir: string;
  readonly rootfs: string;
  #files = 0;
  #mounted = false;

  private constructor(dir: string) {
    this.dir = dir;
    this.rootfs = join(dir, 'rootfs');
  }

  /** The sandbox's root enters the directory with its own, unprivileged id: it may pass through, not look around. */
  static async create(dir: string): Promise<Bundle> {
    const bundle = new Bundle(dir);
    await mkdir(dir, { recursive: true });
    try {
      kernel.mountTmpfs(dir, MS_NOSUID | MS_NODEV, `mode=711,size=${sizeBytes}`);
      await mkdir(bundle.rootfs);
      await chmod(bundle.rootfs, 0o711);
      await mkdir(join(dir, 'files'));
      await chmod(join(dir, 'files'), 0o711);
      return bundle;
    } catch (thrown) {
      await removeBundle(dir);
      throw thrown;
    }
  }

  /** Makes a root that may lie in a closed directory visible here. */
  mountRoot(source: string): void {
    kernel.bind(source, this.rootfs, MS_BIND | MS_REC);
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

  /** Puts a file here, owned as the sandbox has it. */
  async place({ data, mode, uid, gid, target }: FileMount, { containerId, hostId }: IdMap): Promise<BindMount> {
    const source = join(this.dir, 'files', String(++this.#files));
    await writeFile(source, data, { mode: 0o600, flag: 'wx' });
    await chown(source, uid - containerId + hostId, gid - containerId + hostId);
    await chmod(source, mode);
    return { kind: 'bind', source, target, readonly: true };
  }

  async remove(): Promise<void> {
    await this.unmountRoot();
    await removeBundle(this.dir);
  }
}

/** Removes a bundle's directory, but never what may still be mounted in it. */
export async function removeBundle(dir: string): Promise<void> {
  await unmount(join(dir, 'rootfs'));
  await unmount(dir);
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

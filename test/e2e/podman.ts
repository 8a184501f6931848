import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Podman with a storage of its own below `dir`. */
export class Podman {
  readonly #flags: readonly string[];

  constructor(readonly dir: string) {
    this.#flags = ['--root', join(dir, 'root'), '--runroot', join(dir, 'run'), '--storage-driver', 'vfs'];
  }

  async run(...args: readonly string[]): Promise<string> {
    return (await run('podman', [...this.#flags, ...args])).stdout.trim();
  }

  /** Loads an archive; the files of what was loaded. */
  async filesOf(archive: string): Promise<string> {
    const said = await this.run('load', '-i', archive);
    const name = /Loaded image(?:\(s\))?: (\S+)/.exec(said)?.[1] ?? '';
    return await this.run('image', 'mount', name);
  }

  /** Environment by which another program's podman has this storage. */
  async environment(): Promise<Readonly<Record<string, string>>> {
    const file = join(this.dir, 'storage.conf');
    await writeFile(
      file,
      `[storage]\ndriver = "vfs"\ngraphroot = "${join(this.dir, 'root')}"\nrunroot = "${join(this.dir, 'run')}"\n`,
    );
    return { CONTAINERS_STORAGE_CONF: file };
  }
}

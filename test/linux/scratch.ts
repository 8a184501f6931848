import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeltaEntry } from '#content';
import { type IdShift, mountAll, OverlaySnapshotter, removeTree, unmount } from '#snapshot';

/** Where ids of the tests' sandboxes begin on this node. */
export const shift: IdShift = { uid: 100_000, gid: 100_000 };

/** A snapshotter in a directory of its own, and mounts that end with it. */
export class Scratch implements AsyncDisposable {
  readonly dir: string;
  readonly snapshots: OverlaySnapshotter;
  #names = 0;
  readonly #mounted: string[] = [];

  private constructor(dir: string, snapshots: OverlaySnapshotter) {
    this.dir = dir;
    this.snapshots = snapshots;
  }

  static async open(): Promise<Scratch> {
    const dir = await mkdtemp(join(tmpdir(), 'kiln-linux-'));
    return new Scratch(dir, await OverlaySnapshotter.open({ root: join(dir, 'snapshots'), shift }));
  }

  name(): string {
    return `n${++this.#names}`;
  }

  /** Runs `change` in a new snapshot on `parent` and commits it. */
  async layer(parent: string | null, change: (root: string) => void | Promise<void>): Promise<string> {
    const key = this.name();
    const mounts = await this.snapshots.prepare(key, parent);
    const root = await this.mount(mounts);
    await change(root);
    await this.unmount(root);
    const name = this.name();
    await this.snapshots.commit(name, key);
    return name;
  }

  async mount(mounts: Parameters<typeof mountAll>[0]): Promise<string> {
    const target = join(this.dir, 'mnt', this.name());
    await mkdir(target, { recursive: true });
    await mountAll(mounts, target);
    this.#mounted.push(target);
    return target;
  }

  async unmount(target: string): Promise<void> {
    await unmount(target);
    this.#mounted.splice(this.#mounted.indexOf(target), 1);
  }

  async view(name: string): Promise<string> {
    return await this.mount(await this.snapshots.view(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const target of this.#mounted.splice(0).reverse()) await unmount(target);
    await removeTree(this.dir);
  }
}

/** Mounts of this process' namespace below a directory. */
export async function mountsBelow(dir: string): Promise<readonly string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.map((line) => line.split(' ')[4] ?? '').filter((point) => point.startsWith(`${dir}/`));
}

/** `path` or, of what is no plain change, `kind path`. */
export function summary(delta: readonly DeltaEntry[]): readonly string[] {
  return delta.map((entry) => {
    if (entry.type === 'whiteout') return `whiteout ${entry.path}`;
    if (entry.hardlink !== undefined) return `hardlink ${entry.path} ${entry.hardlink}`;
    return `${entry.opaque === true ? 'opaque ' : ''}${entry.type} ${entry.path}`;
  });
}

import { posix } from 'node:path';

export type Kind = 'file' | 'dir' | 'link' | 'fifo';

/** What of an image's files a program may meet: enough to make only instructions that hold. */
export class Model {
  readonly #paths: Map<string, Kind>;
  #unseen = 0;

  constructor(paths: Iterable<readonly [string, Kind]>) {
    this.#paths = new Map(paths);
  }

  copy(): Model {
    const copy = new Model(this.#paths);
    copy.#unseen = this.#unseen;
    return copy;
  }

  /** A name that nothing of a program has, and that none of its other commands meets. */
  unseen(prefix: string): string {
    return `${prefix}${this.#unseen++}`;
  }

  of(...kinds: readonly Kind[]): readonly string[] {
    return [...this.#paths].filter(([, kind]) => kinds.includes(kind)).map(([path]) => path);
  }

  kind(path: string): Kind | undefined {
    return path === '/' ? 'dir' : this.#paths.get(path);
  }

  /** Whether something of a kind may be put at a path: nothing of another kind is there or in the way. */
  takes(path: string, kind: Kind): boolean {
    return this.fits(path) && (this.kind(path) ?? kind) === kind;
  }

  /** With the directories on the way. @returns false where something is in the way */
  add(path: string, kind: Kind): boolean {
    if (!this.takes(path, kind)) return false;
    for (let at = path; at !== '/'; at = posix.dirname(at)) this.#paths.set(at, at === path ? kind : 'dir');
    return true;
  }

  /** Whether all that is above a path is a directory, or nothing yet. */
  fits(path: string): boolean {
    for (let at = posix.dirname(path); at !== '/'; at = posix.dirname(at)) {
      if ((this.kind(at) ?? 'dir') !== 'dir') return false;
    }
    return true;
  }

  remove(path: string): void {
    for (const name of this.below(path)) this.#paths.delete(name);
  }

  move(from: string, to: string): void {
    const moved = this.below(from).map((name) => [to + name.slice(from.length), this.#paths.get(name)] as const);
    this.remove(from);
    for (const [name, kind] of moved) if (kind !== undefined) this.#paths.set(name, kind);
  }

  /** A path and all beneath it. */
  below(path: string): readonly string[] {
    return [...this.#paths.keys()].filter((name) => name === path || name.startsWith(`${path}/`));
  }
}

/** Of `base/busybox:1`, what programs play with. */
export const baseModel = (): Model =>
  new Model([
    ['/srv', 'dir'],
    ['/srv/low', 'dir'],
    ['/srv/low/a', 'file'],
    ['/srv/low/b', 'file'],
    ['/srv/low/sub', 'dir'],
    ['/srv/low/sub/c', 'file'],
    ['/srv/low/sub/d', 'file'],
    ['/opt', 'dir'],
    ['/tmp', 'dir'],
  ]);

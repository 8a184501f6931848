import { comparePaths, type DeltaEntry, isWithin, type TreeEntry } from '#content';

/** Collects what a layer does while it is unpacked; the last word on a path counts. */
export class LayerDelta {
  readonly #entries = new Map<string, DeltaEntry>();
  /** names of one file have one number */
  readonly #files = new Map<string, number>();
  /** what was last said of a file that has several names: it has one owner, mode and time */
  readonly #latest = new Map<number, TreeEntry>();
  #lastFile = 0;

  get(path: string): DeltaEntry | undefined {
    return this.#entries.get(path);
  }

  /** Whether the layer itself put something there. */
  has(path: string): boolean {
    const entry = this.#entries.get(path);
    return entry !== undefined && entry.type !== 'whiteout';
  }

  put(entry: DeltaEntry): void {
    this.#entries.set(entry.path, entry);
  }

  /** A further name of the file `of`, which is here already. */
  link(path: string, of: TreeEntry): void {
    const file = this.#files.get(of.path) ?? ++this.#lastFile;
    this.#files.set(of.path, file).set(path, file);
    this.#latest.set(file, of);
    this.#entries.set(path, { ...of, path });
  }

  /** Forgets a path and what is below it. */
  forget(path: string): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    const gone = entry.type === 'dir' ? [...this.#entries.keys()].filter((other) => isWithin(other, path)) : [path];
    for (const name of gone) {
      this.#entries.delete(name);
      this.#files.delete(name);
    }
  }

  /** In order of paths; of several names of one file the first is the file. */
  entries(): readonly DeltaEntry[] {
    const first = new Map<number, string>();
    return [...this.#entries.values()]
      .sort((a, b) => comparePaths(a.path, b.path))
      .map((entry) => {
        const file = this.#files.get(entry.path);
        if (file === undefined || entry.type === 'whiteout') return entry;
        const known = first.get(file);
        const whole = { ...(this.#latest.get(file) ?? entry), path: entry.path };
        if (known !== undefined) return { ...whole, hardlink: known };
        first.set(file, entry.path);
        return whole;
      });
  }
}

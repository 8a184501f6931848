import type { Mount, Snapshotter } from '#snapshot';
import { type Clock, isKilnError, type Logger, messageOf } from '#std';

export interface SnapshotRoomOptions {
  readonly snapshotter: Snapshotter;
  /** bytes on disk of directories, in their order */
  readonly measure: (dirs: readonly string[]) => Promise<readonly number[]>;
  /** what all committed snapshots may take */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Bytes on disk that something takes, and how many it may. */
export interface RoomUse {
  readonly bytes: number;
  readonly maxBytes: number;
}

const MEASURED_AT_A_TIME = 64;
/** Down to this part of the room, so that it is not full again at once. */
const TARGET = 0.9;

/**
 * A node's snapshots within the room that they have: those used least recently go, never one that a build at work may use.
 * What a build has seen since it began is its to use; what lies below another snapshot stays for that.
 */
export class SnapshotRoom implements Snapshotter, AsyncDisposable {
  readonly #options: SnapshotRoomOptions;
  /** when each was last seen; those of an earlier process count as the oldest */
  readonly #usedMs = new Map<string, number>();
  readonly #bytes = new Map<string, number>();
  /** when the builds at work began */
  readonly #begun = new Set<{ readonly atMs: number }>();
  #tidying: Promise<void> | undefined;

  constructor(options: SnapshotRoomOptions) {
    this.#options = options;
  }

  /** What the committed snapshots take, as it was measured last, and what they may. */
  get use(): RoomUse {
    return { bytes: this.#total(), maxBytes: this.#options.maxBytes };
  }

  /** A build is at work until this is disposed of. */
  enter(): Disposable {
    const build = { atMs: this.#options.clock.nowMs() };
    this.#begun.add(build);
    return {
      [Symbol.dispose]: () => {
        this.#begun.delete(build);
        this.look();
      },
    };
  }

  /** Measures what is new, and makes room if need be: after each build, and first of all what an earlier process left. */
  look(): void {
    // Who ends while it is tidied leaves the rest to the next.
    this.#tidying ??= this.#tidy().finally(() => {
      this.#tidying = undefined;
    });
  }

  /** Resolves when nothing is being removed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tidying;
  }

  prepare(key: string, parent: string | null): Promise<readonly Mount[]> {
    if (parent !== null) this.#see(parent);
    return this.#options.snapshotter.prepare(key, parent);
  }

  view(name: string): Promise<readonly Mount[]> {
    this.#see(name);
    return this.#options.snapshotter.view(name);
  }

  async commit(name: string, key: string): Promise<void> {
    this.#see(name);
    await this.#options.snapshotter.commit(name, key);
  }

  has(name: string): boolean {
    const there = this.#options.snapshotter.has(name);
    if (there) this.#see(name);
    return there;
  }

  names(): readonly string[] {
    return this.#options.snapshotter.names();
  }

  parentOf(name: string): string | null {
    return this.#options.snapshotter.parentOf(name);
  }

  upperOf(keyOrName: string): string {
    return this.#options.snapshotter.upperOf(keyOrName);
  }

  async remove(keyOrName: string): Promise<void> {
    await this.#options.snapshotter.remove(keyOrName);
    this.#usedMs.delete(keyOrName);
    this.#bytes.delete(keyOrName);
  }

  #see(name: string): void {
    this.#usedMs.set(name, this.#options.clock.nowMs());
  }

  #isFree(name: string): boolean {
    const usedMs = this.#usedMs.get(name) ?? 0;
    for (const { atMs } of this.#begun) if (usedMs >= atMs) return false;
    return true;
  }

  /** A failure costs room, nothing else. */
  async #tidy(): Promise<void> {
    const { logger, maxBytes } = this.#options;
    try {
      await this.#measure();
      if (this.#total() <= maxBytes) return;
      const kept = new Set<string>();
      let removed = 0;
      while (this.#total() > maxBytes * TARGET) {
        const name = this.#oldest(kept);
        if (name === undefined) break;
        if (await this.#removed(name)) removed++;
        else kept.add(name);
      }
      logger.info('snapshots were removed to make room', { removed, leftBytes: this.#total() });
    } catch (thrown) {
      logger.warn('snapshots could not be looked after', { error: messageOf(thrown) });
    }
  }

  /** Of those that nobody uses and nothing lies on. */
  #oldest(kept: ReadonlySet<string>): string | undefined {
    const names = this.names();
    const below = new Set(names.map((name) => this.parentOf(name)));
    const usedMs = (name: string): number => this.#usedMs.get(name) ?? 0;
    const [oldest] = names
      .filter((name) => !below.has(name) && !kept.has(name) && this.#isFree(name))
      .toSorted((a, b) => usedMs(a) - usedMs(b));
    return oldest;
  }

  async #removed(name: string): Promise<boolean> {
    try {
      await this.remove(name);
      return true;
    } catch (thrown) {
      // Others lie on top of it, or its build has removed it.
      if (isKilnError(thrown, 'CONFLICT', 'NOT_FOUND')) return false;
      throw thrown;
    }
  }

  #total(): number {
    return [...this.#bytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  async #measure(): Promise<void> {
    const { snapshotter, measure } = this.#options;
    const unknown = this.names().filter((name) => !this.#bytes.has(name));
    for (let at = 0; at < unknown.length; at += MEASURED_AT_A_TIME) {
      // Some may have been removed by their builds.
      const names = unknown.slice(at, at + MEASURED_AT_A_TIME).filter((name) => snapshotter.has(name));
      const sizes = await measure(names.map((name) => snapshotter.upperOf(name)));
      for (const [index, name] of names.entries()) {
        if (snapshotter.has(name)) this.#bytes.set(name, sizes[index] ?? 0);
      }
    }
  }
}

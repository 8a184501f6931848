import type { Digest } from '#oci';
import { type Clock, once, type Random, randomId } from '#std';
import type { MountVersions } from './mount-versions.ts';

interface Held {
  readonly holder: string;
  uses: number;
}

interface Taking {
  readonly versions: MountVersions;
  readonly signal: AbortSignal;
  readonly onWait: () => void;
  readonly limitMs: number;
  readonly refuse: () => Error;
}

const LOOK_MS = 500;
const HOLDER_LENGTH = 20;

/** Cache mounts that this node has for itself on the farm. Between its own steps they go from hand to hand. */
export class FarmLocks {
  readonly #held = new Map<string, Held>();
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Asks until it is this node's.
   * @param key the mount's name on this node
   * @returns gives it back
   * @throws what `refuse` makes after `limitMs`, the signal's reason
   */
  async take(
    key: string,
    mount: Digest,
    { versions, signal, onWait, limitMs, refuse }: Taking,
  ): Promise<() => Promise<void>> {
    const held = this.#held.get(key) ?? { holder: randomId(this.#random, HOLDER_LENGTH), uses: 0 };
    this.#held.set(key, held);
    held.uses++;
    const release = once(async () => {
      held.uses--;
      if (held.uses > 0) return;
      this.#held.delete(key);
      await versions.unlock(mount, held.holder);
    });
    const untilMs = this.#clock.nowMs() + limitMs;
    try {
      for (let waited = false; !(await versions.lock(mount, held.holder)); waited = true) {
        if (!waited) onWait();
        if (this.#clock.nowMs() >= untilMs) throw refuse();
        await this.#clock.sleep(LOOK_MS, signal);
      }
    } catch (thrown) {
      await release();
      throw thrown;
    }
    return release;
  }
}

import type { Clock } from '#std';

const REMEMBER_MS = 3 * 60_000;

/** Hosts that nobody answered at, remembered for minutes so that not every request waits for its timeout. */
export class Reachability {
  readonly #until = new Map<string, number>();

  constructor(
    readonly clock: Clock,
    readonly rememberMs: number = REMEMBER_MS,
  ) {}

  /** `host` did not answer at all, or cannot be relied on for now. */
  avoid(host: string): void {
    this.#until.set(host, this.clock.nowMs() + this.rememberMs);
  }

  isAvoided(host: string): boolean {
    const until = this.#until.get(host);
    if (until === undefined) return false;
    if (this.clock.nowMs() < until) return true;
    this.#until.delete(host);
    return false;
  }
}

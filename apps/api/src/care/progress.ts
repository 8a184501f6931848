import type { Clock } from '#std';

const PERIOD_MS = 1_000;

/** Lines for who waits: none in the first second, then one a second at most. */
export class Progress {
  readonly #clock: Clock;
  readonly #write: (line: string) => void;
  #nextMs: number;

  constructor(clock: Clock, write: (line: string) => void) {
    this.#clock = clock;
    this.#write = write;
    this.#nextMs = clock.nowMs() + PERIOD_MS;
  }

  say(text: () => string): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + PERIOD_MS;
    this.#write(`${text()}\n`);
  }
}

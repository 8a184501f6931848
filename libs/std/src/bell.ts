import type { Clock } from './clock.ts';

/** Remembers one ring until someone waits. */
export class Bell {
  readonly #clock: Clock;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Until it rings, has rung since the last wait, `ms` have passed, or `signal` is aborted. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung) {
      const silence = new AbortController();
      this.#wake = () => silence.abort();
      await this.#clock.sleep(ms, AbortSignal.any([silence.signal, signal])).catch(() => undefined);
      this.#wake = undefined;
    }
    this.#rung = false;
  }
}

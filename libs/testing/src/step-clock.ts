import type { Clock } from '#std';

/** Time that passes only in pauses, and at once. */
export class StepClock implements Clock {
  now = 1_700_000_000_000;
  /** every pause, in milliseconds */
  readonly slept: number[] = [];

  nowMs(): number {
    return this.now;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.slept.push(ms);
    this.now += ms;
  }
}

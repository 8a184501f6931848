/** What takes jobs from a queue. */
export interface Tap {
  /** @param doNotWaitActive `true`: what runs goes on meanwhile */
  pause(doNotWaitActive: true): Promise<void>;
  resume(): Promise<void>;
}

/** Whether this builder takes what is new: an operator may have drained it. */
export class Intake {
  readonly #taps = new Set<Tap>();
  readonly #onFailure: (thrown: unknown) => void;
  #open: boolean;

  /** @param onFailure hears what pausing and resuming fail with */
  constructor(open: boolean, onFailure: (thrown: unknown) => void) {
    this.#open = open;
    this.#onFailure = onFailure;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** A tap runs or stands still as the intake says, from now on. */
  add(tap: Tap): void {
    this.#taps.add(tap);
    if (!this.#open) this.#turn(tap);
  }

  set(open: boolean): void {
    if (open === this.#open) return;
    this.#open = open;
    for (const tap of this.#taps) this.#turn(tap);
  }

  #turn(tap: Tap): void {
    (this.#open ? tap.resume() : tap.pause(true)).catch(this.#onFailure);
  }
}

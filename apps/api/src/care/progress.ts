const PERIOD_MS = 1_000;

/** Lines for who waits: none in the first second, then one a second at most, and none that says the same. */
export class Progress implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #text: (() => string) | undefined;
  #said = '';

  constructor(write: (line: string) => void) {
    this.#timer = setInterval(() => {
      const text = this.#text?.() ?? '';
      if (text !== this.#said) write(`${text}\n`);
      this.#said = text;
    }, PERIOD_MS).unref();
  }

  /** How far it is now. */
  say(text: () => string): void {
    this.#text = text;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

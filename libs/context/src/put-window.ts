/** Work under way, at most so many items: who adds one more waits for a place. The first failure is thrown to the adder. */
export class PutWindow {
  readonly #width: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly thrown: unknown } | undefined;

  constructor(width: number) {
    this.#width = width;
  }

  async add(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#width) await Promise.race(this.#running);
    this.#check();
    const running = work().then(
      () => void this.#running.delete(running),
      (thrown: unknown) => {
        this.#running.delete(running);
        this.#failure ??= { thrown };
      },
    );
    this.#running.add(running);
  }

  /** Waits for all that was added. */
  async finish(): Promise<void> {
    await this.settle();
    this.#check();
  }

  /** Waits without asking how it went. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }
}

/**
 * Work that several builds on this node want at the same time is done once. It stops when the last of them has gone, so
 * that one cancelled build does not fail another.
 */
export class SharedFlights<T> {
  readonly #flights = new Map<string, { promise: Promise<T>; stop: AbortController; waiting: number }>();

  /** Starts `work` unless it is in flight under this key, and waits for it until `signal` is aborted. */
  async join(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      const stop = new AbortController();
      const promise = work(stop.signal).finally(() => {
        if (this.#flights.get(key)?.stop === stop) this.#flights.delete(key);
      });
      promise.catch(() => {});
      flight = { promise, stop, waiting: 0 };
      this.#flights.set(key, flight);
    }
    flight.waiting++;
    const left = Promise.withResolvers<never>();
    left.promise.catch(() => {});
    const leave = (): void => left.reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([flight.promise, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
      flight.waiting--;
      if (flight.waiting === 0) {
        // Nobody may join a flight that is being stopped.
        if (signal.aborted && this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.stop.abort(new Error('nobody waits any more'));
      }
    }
  }
}

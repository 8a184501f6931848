import { type BuildEvent } from '#protocol';
import { type Clock, isKilnError, type Logger } from '#std';

/** Makes events durable under the build's fence. */
export type AppendEvents = (events: readonly BuildEvent[]) => Promise<unknown>;

export interface EventWriterOptions {
  readonly append: AppendEvents;
  readonly clock: Clock;
  readonly logger: Logger;
  /** called once when the events cannot be kept any more (the build was taken over) */
  readonly onLost: (thrown: unknown) => void;
}

/** Events wait this long for company, so that a chatty step costs a few inserts a second. */
const GATHER_MS = 40;
/** Above this a step has to wait until its output is durable. */
const BUFFER_LIMIT = 1024 * 1024;
const BATCH_LIMIT = 256 * 1024;
const LOG_LIMIT = 32 * 1024;
const RETRY_MS = 500;

const costOf = (event: BuildEvent): number => (event.type === 'log' ? event.text.length : 256);

/** Writes a build's events in order, in batches; slows down who emits when the database is slower than the build. */
export class EventWriter {
  readonly #options: EventWriterOptions;
  #pending: BuildEvent[] = [];
  #pendingCost = 0;
  #writing: Promise<void> | undefined;
  #lost: { readonly thrown: unknown } | undefined;

  constructor(options: EventWriterOptions) {
    this.#options = options;
  }

  /** Takes an event; the promise, where there is one, resolves when there is room again. */
  emit(event: BuildEvent): void | Promise<void> {
    if (this.#lost !== undefined) return;
    for (const piece of pieces(event)) this.#push(piece);
    this.#start();
    if (this.#pendingCost > BUFFER_LIMIT) return this.#writing;
  }

  /**
   * Resolves when all that was emitted is durable.
   * @throws what `append` threw when the events are lost
   */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    if (this.#lost !== undefined) throw this.#lost.thrown;
  }

  #start(): void {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
      // What came between the last look and now.
      if (this.#pending.length > 0 && this.#lost === undefined) this.#start();
    });
  }

  #push(event: BuildEvent): void {
    const last = this.#pending.at(-1);
    this.#pendingCost += costOf(event);
    const joins =
      last?.type === 'log' &&
      event.type === 'log' &&
      last.vertex === event.vertex &&
      last.stream === event.stream &&
      last.from?.part === event.from?.part &&
      last.text.length + event.text.length <= LOG_LIMIT;
    if (joins)
      this.#pending[this.#pending.length - 1] = { ...last, ...event, atMs: last.atMs, text: last.text + event.text };
    else this.#pending.push(event);
  }

  async #drain(): Promise<void> {
    await this.#options.clock.sleep(GATHER_MS);
    while (this.#pending.length > 0 && this.#lost === undefined) {
      const batch = this.#take();
      await this.#append(batch);
    }
  }

  #take(): readonly BuildEvent[] {
    let cost = 0;
    let count = 0;
    while (count < this.#pending.length && cost < BATCH_LIMIT) {
      const event = this.#pending[count];
      if (event !== undefined) cost += costOf(event);
      count++;
    }
    this.#pendingCost -= cost;
    return this.#pending.splice(0, count);
  }

  /** A database that is away is waited for; a fence that was lost ends the writing. */
  async #append(batch: readonly BuildEvent[]): Promise<void> {
    const { append, clock, logger, onLost } = this.#options;
    for (;;) {
      try {
        await append(batch);
        return;
      } catch (thrown) {
        if (isKilnError(thrown, 'UNAVAILABLE')) {
          logger.warn('cannot write events yet', { error: thrown });
          await clock.sleep(RETRY_MS);
          continue;
        }
        this.#lost = { thrown };
        this.#pending = [];
        this.#pendingCost = 0;
        onLost(thrown);
        return;
      }
    }
  }
}

/** A long piece of output as several events, cut between characters. */
function pieces(event: BuildEvent): readonly BuildEvent[] {
  if (event.type !== 'log' || event.text.length <= LOG_LIMIT) return [event];
  const cut: BuildEvent[] = [];
  for (let at = 0; at < event.text.length; ) {
    let end = Math.min(at + LOG_LIMIT, event.text.length);
    const unit = event.text.charCodeAt(end - 1);
    if (end < event.text.length && unit >= 0xd800 && unit <= 0xdbff) end--;
    cut.push({ ...event, text: event.text.slice(at, end) });
    at = end;
  }
  return cut;
}

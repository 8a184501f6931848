/** What one of several works that go on at once has to say. */
export interface Saying {
  readonly id: string;
  readonly name: string;
  readonly lines: readonly string[];
  readonly atMs: number;
  /** its last line; undefined while it goes on */
  readonly end?: string | undefined;
}

interface Speaker {
  readonly number: number;
  readonly name: string;
  readonly waiting: string[];
  /** when the oldest of the waiting lines came */
  sinceMs: number;
}

/** What is not on display waits at most so long, and is at most so much. */
const MAX_WAIT_MS = 5_000;
const MAX_WAITING_LINES = 500;

/**
 * Brings works that go on at once under each other: each has its number on every line; one is on display until it ends or
 * another has waited long.
 */
export class TextMux {
  readonly #write: (text: string) => void;
  readonly #speakers = new Map<string, Speaker>();
  #current: string | undefined;
  #empty = true;
  /** the last line was a note */
  #noted = false;
  #numbers = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  add({ id, name, lines, atMs, end }: Saying): void {
    const speaker = this.#speakers.get(id) ?? { number: ++this.#numbers, name, waiting: [], sinceMs: atMs };
    this.#speakers.set(id, speaker);
    if (speaker.waiting.length === 0) speaker.sinceMs = atMs;
    speaker.waiting.push(...lines);
    const long = speaker.waiting.length > MAX_WAITING_LINES || atMs - speaker.sinceMs > MAX_WAIT_MS;
    if (end === undefined && this.#current !== undefined && this.#current !== id && !long) return;
    this.#display(id, speaker);
    if (end === undefined) return;
    this.#write(`#${speaker.number} ${end}\n`);
    this.#current = undefined;
    this.#next();
  }

  /** Lines that belong to no work. */
  aside(lines: readonly string[]): void {
    this.#leave();
    if (!this.#empty) this.#write('\n');
    this.#empty = false;
    this.#noted = false;
    this.#write(`${lines.join('\n')}\n`);
  }

  /** One line that belongs to no work; several stand together. */
  note(line: string): void {
    if (this.#noted) this.#write(`${line}\n`);
    else this.aside([line]);
    this.#noted = true;
  }

  /** All that waits. */
  flush(): void {
    for (const [id, speaker] of this.#speakers) if (speaker.waiting.length > 0) this.#display(id, speaker);
  }

  #display(id: string, speaker: Speaker): void {
    this.#noted = false;
    if (this.#current !== id) {
      this.#leave();
      if (!this.#empty) this.#write('\n');
      this.#empty = false;
      this.#write(`#${speaker.number} ${speaker.name}\n`);
      this.#current = id;
    }
    const lines = speaker.waiting.splice(0);
    if (lines.length > 0) this.#write(lines.map((line) => `#${speaker.number} ${line}\n`).join(''));
  }

  #leave(): void {
    const left = this.#current === undefined ? undefined : this.#speakers.get(this.#current);
    if (left !== undefined) this.#write(`#${left.number} ...\n`);
    this.#current = undefined;
  }

  /** The one that has waited longest. */
  #next(): void {
    const waiting = [...this.#speakers].filter(([, speaker]) => speaker.waiting.length > 0);
    const oldest = waiting.sort(([, a], [, b]) => a.sinceMs - b.sinceMs)[0];
    if (oldest !== undefined) this.#display(...oldest);
  }
}

import { cleanLine } from '../progress/log-text.ts';
import { fit } from '../progress/fit.ts';
import type { Terminal } from '../progress/client-event.ts';

/** Shows how far the start of the embedded farm is: one changing line in a terminal, a line each elsewhere. */
export class StartProgress {
  readonly #terminal: Terminal | undefined;
  readonly #write: (text: string) => void;
  #shown = false;

  constructor(terminal: Terminal | undefined, write: (text: string) => void) {
    this.#terminal = terminal;
    this.#write = write;
  }

  show(message: string): void {
    const text = `farm: ${cleanLine(message.replaceAll(/\s+/g, ' '), false)}`;
    if (this.#terminal === undefined) this.#write(`${text}\n`);
    else this.#write(`\r\x1b[K ${fit(text, this.#terminal.columns - 2)}`);
    this.#shown = true;
  }

  end(): void {
    if (this.#shown && this.#terminal !== undefined) this.#write('\r\x1b[K');
    this.#shown = false;
  }
}

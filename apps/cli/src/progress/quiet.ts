import type { ProgressEvent, Renderer } from './client-event.ts';
import { failureLines } from './ending-text.ts';
import { type BuildModel, emptyModel, fold } from './model.ts';

/** Says nothing of a build that succeeds, and why one failed. */
export class QuietRenderer implements Renderer {
  readonly #write: (text: string) => void;
  #model: BuildModel = emptyModel;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  show(event: ProgressEvent): void {
    this.#model = fold(this.#model, event);
    if (event.type === 'failed') this.#write(`${failureLines(event.failure, this.#model).join('\n')}\n`);
    if (event.type === 'cancelled') this.#write(`build cancelled: ${event.reason}\n`);
  }

  note(): void {}

  close(): void {}
}

import type { ProgressEvent, Renderer } from './client-event.ts';
import { isFarmEvent } from './model.ts';

/** The farm's events as they come, one JSON object a line. */
export class RawJsonRenderer implements Renderer {
  readonly #write: (text: string) => void;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  show(event: ProgressEvent): void {
    if (isFarmEvent(event)) this.#write(`${JSON.stringify(event)}\n`);
  }

  note(): void {}

  close(): void {}
}

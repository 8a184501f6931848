import type { BuildEvent } from '#protocol';
import { size } from '../progress/duration.ts';
import type { ProgressEvent, Renderer } from '../progress/client-event.ts';
import { cleanLine } from '../progress/log-text.ts';

export interface ContainerOutputOptions {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** of the farm's own doings nothing is told */
  readonly quiet: boolean;
}

/** Before that nobody asks what takes so long. */
const PATIENCE_MS = 1_000;

/** Hands on what a container writes, as it is; of what comes before it only where that takes long. */
export class ContainerOutput implements Renderer {
  readonly #options: ContainerOutputOptions;
  readonly #timer: NodeJS.Timeout;
  #state = 'waiting for a builder';
  #isLate = false;
  #told = '';
  #process: string | undefined;
  #hasWritten = false;

  constructor(options: ContainerOutputOptions) {
    this.#options = options;
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.#tell();
    }, PATIENCE_MS);
  }

  show(event: ProgressEvent): void {
    switch (event.type) {
      case 'log':
        this.#hasWritten = true;
        if (event.stream === 1) this.#options.stdout(event.text);
        else this.#options.stderr(event.text);
        return;
      case 'started':
        if (this.#hasWritten) this.note('its builder was lost: it runs again from its start');
        return this.#enter('preparing the image');
      case 'planned':
        this.#process = event.vertices.at(-1)?.vertex;
        return;
      case 'progress':
        return this.#progress(event);
      case 'vertexStarted':
        if (event.vertex === this.#process) this.close();
        return;
      case 'warning':
        return this.note(event.message);
      case 'failed':
      case 'cancelled':
      case 'succeeded':
        return this.close();
      default:
    }
  }

  note(line: string): void {
    if (!this.#options.quiet) this.#options.stderr(`kiln: ${cleanLine(line, false)}\n`);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#isLate = false;
  }

  #progress({ name, total, unit, done }: Extract<BuildEvent, { readonly type: 'progress' }>): void {
    if (done) return;
    this.#enter(unit === 'bytes' && total !== undefined ? `${name}, ${size(total)}` : name);
  }

  #enter(state: string): void {
    this.#state = state;
    this.#tell();
  }

  #tell(): void {
    if (!this.#isLate || this.#told === this.#state) return;
    this.#told = this.#state;
    this.note(this.#state);
  }
}

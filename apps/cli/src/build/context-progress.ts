import type { SentCount } from '#client';
import type { ContextCount, Renderer, Sent } from '../progress/client-event.ts';

export interface ContextProgressOptions {
  readonly context: ContextCount;
  readonly renderer: Pick<Renderer, 'show'>;
  readonly nowMs: () => number;
}

/** How often a large context tells how far it is. */
const TELL_MS = 200;

/** Shows how far the sending of a build's contexts is: before the build, and again when it asks for more. */
export class ContextProgress {
  readonly #options: ContextProgressOptions;
  #works = 0;
  #beganMs = 0;
  #toldMs = 0;
  #spentMs = 0;
  #closed = false;
  /** of manifests and files */
  #wireBytes = 0;
  /** of this attempt at sending archives */
  #archiveBytes = 0;
  #files: SentCount | undefined;

  constructor(options: ContextProgressOptions) {
    this.#options = options;
  }

  /** Runs what sends; all that goes on at a time is shown as one. What fails is told by others. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    if (this.#works++ === 0) {
      this.#beganMs = this.#options.nowMs();
      this.#tell(this.#beganMs);
    }
    let done = false;
    try {
      const result = await work();
      done = true;
      return result;
    } finally {
      if (--this.#works === 0) this.#rest(done);
    }
  }

  wire(bytes: number): void {
    this.#wireBytes += bytes;
    this.#progress();
  }

  archives(bytes: number): void {
    this.#archiveBytes = bytes;
    this.#progress();
  }

  files(sent: SentCount): void {
    this.#files = sent;
    this.#progress();
  }

  /** Nothing is shown any more: the build has ended. */
  close(): void {
    this.#closed = true;
  }

  #progress(): void {
    const atMs = this.#options.nowMs();
    if (atMs - this.#toldMs >= TELL_MS) this.#tell(atMs);
  }

  #tell(atMs: number): void {
    this.#toldMs = atMs;
    if (!this.#closed) this.#options.renderer.show({ type: 'sending', atMs, ...this.#sent() });
  }

  #rest(done: boolean): void {
    const atMs = this.#options.nowMs();
    this.#spentMs += atMs - this.#beganMs;
    if (this.#closed || !done) return;
    this.#options.renderer.show({ type: 'sent', atMs, durationMs: this.#spentMs, ...this.#sent() });
  }

  #sent(): Sent {
    const sentBytes = this.#wireBytes + this.#archiveBytes;
    const { context } = this.#options;
    return { context, sentBytes, ...(this.#files === undefined ? {} : { sentFiles: this.#files }) };
  }
}

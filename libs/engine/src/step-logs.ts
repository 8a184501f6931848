import { StringDecoder } from 'node:string_decoder';
import type { Digest } from '#oci';
import type { BuildEvent } from '#protocol';
import type { Clock } from '#std';

/** Takes events in their order; the promise resolves when there is room for more. */
export type EventSink = (event: BuildEvent) => void | Promise<void>;

const TAIL_LINES = 20;
const LINE_LIMIT = 2_000;

/** Turns steps' output into log events, whole characters at a time, and keeps each step's last lines for a failure. */
export class StepLogs {
  readonly #decoders = new Map<string, StringDecoder>();
  readonly #tails = new Map<Digest, string[]>();

  constructor(
    readonly sink: EventSink,
    readonly clock: Clock,
  ) {}

  write(vertex: Digest, stream: 1 | 2, chunk: Uint8Array): void | Promise<void> {
    const key = `${vertex} ${stream}`;
    let decoder = this.#decoders.get(key);
    if (decoder === undefined) {
      decoder = new StringDecoder('utf8');
      this.#decoders.set(key, decoder);
    }
    return this.#emit(vertex, stream, decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)));
  }

  /** What is left of characters that a process cut short; after this the vertex writes no more. */
  async end(vertex: Digest): Promise<void> {
    for (const stream of [1, 2] as const) {
      const rest = this.#decoders.get(`${vertex} ${stream}`)?.end() ?? '';
      this.#decoders.delete(`${vertex} ${stream}`);
      await this.#emit(vertex, stream, rest);
    }
  }

  tail(vertex: Digest): readonly string[] {
    return (this.#tails.get(vertex) ?? []).filter((line, index, all) => line !== '' || index < all.length - 1);
  }

  #emit(vertex: Digest, stream: 1 | 2, text: string): void | Promise<void> {
    if (text === '') return;
    const lines = this.#tails.get(vertex) ?? [''];
    const [first = '', ...more] = text.split('\n');
    lines.push(((lines.pop() ?? '') + first).slice(-LINE_LIMIT), ...more.map((line) => line.slice(-LINE_LIMIT)));
    this.#tails.set(vertex, lines.slice(-TAIL_LINES - 1));
    return this.sink({ type: 'log', atMs: this.clock.nowMs(), vertex, stream, text });
  }
}

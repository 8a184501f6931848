import { StringDecoder } from 'node:string_decoder';
import type { Digest } from '#oci';
import type { BuildEvent } from '#protocol';
import type { Clock } from '#std';
import { type MaskedStream, SecretMask } from './secret-mask.ts';

/** Takes events in their order; the promise resolves when there is room for more. */
export type EventSink = (event: BuildEvent) => void | Promise<void>;

const TAIL_LINES = 20;
const LINE_LIMIT = 2_000;

/** One stream of one step. */
interface Output {
  readonly decoder: StringDecoder;
  readonly masked: MaskedStream | undefined;
}

/**
 * Turns steps' output into log events, whole characters at a time, without the values of secrets, and keeps each step's last
 * lines for a failure.
 */
export class StepLogs {
  readonly #outputs = new Map<string, Output>();
  readonly #tails = new Map<Digest, string[]>();

  constructor(
    readonly sink: EventSink,
    readonly clock: Clock,
    readonly mask = new SecretMask([]),
  ) {}

  write(vertex: Digest, stream: 1 | 2, chunk: Uint8Array): void | Promise<void> {
    const key = `${vertex} ${stream}`;
    let output = this.#outputs.get(key);
    if (output === undefined) {
      output = { decoder: new StringDecoder('utf8'), masked: this.mask.empty ? undefined : this.mask.stream() };
      this.#outputs.set(key, output);
    }
    const text = output.decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    return this.#emit(vertex, stream, output.masked === undefined ? text : output.masked.write(text));
  }

  /** What the farm itself has to say of a step. */
  note(vertex: Digest, text: string): void | Promise<void> {
    return this.write(vertex, 2, Buffer.from(`${text}\n`));
  }

  /** What the farm itself has to say, and the step has not: it is none of its last lines. */
  remark(vertex: Digest, text: string): void | Promise<void> {
    return this.sink({ type: 'log', atMs: this.clock.nowMs(), vertex, stream: 2, text: `${text}\n` });
  }

  /** What is left of characters that a process cut short; after this the vertex writes no more. */
  async end(vertex: Digest): Promise<void> {
    for (const stream of [1, 2] as const) {
      const { decoder, masked } = this.#outputs.get(`${vertex} ${stream}`) ?? {};
      this.#outputs.delete(`${vertex} ${stream}`);
      const rest = decoder?.end() ?? '';
      await this.#emit(vertex, stream, masked === undefined ? rest : masked.write(rest) + masked.end());
    }
  }

  /** Keeps what stands in the log already for {@link tail}. */
  recall(vertex: Digest, text: string): void {
    const lines = this.#tails.get(vertex) ?? [''];
    const [first = '', ...more] = text.split('\n');
    lines.push(((lines.pop() ?? '') + first).slice(-LINE_LIMIT), ...more.map((line) => line.slice(-LINE_LIMIT)));
    this.#tails.set(vertex, lines.slice(-TAIL_LINES - 1));
  }

  tail(vertex: Digest): readonly string[] {
    return (this.#tails.get(vertex) ?? []).filter((line, index, all) => line !== '' || index < all.length - 1);
  }

  #emit(vertex: Digest, stream: 1 | 2, text: string): void | Promise<void> {
    if (text === '') return;
    this.recall(vertex, text);
    return this.sink({ type: 'log', atMs: this.clock.nowMs(), vertex, stream, text });
  }
}

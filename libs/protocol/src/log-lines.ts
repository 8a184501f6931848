import { z } from 'zod';
import type { NumberedEvent } from './build-event.ts';

export interface LogLine {
  /** the vertex that said it; `''` for the build itself */
  readonly vertex: string;
  readonly atMs: number;
  readonly text: string;
  /** of the build, or of standard error */
  readonly kind: LogLineKind;
}
export const LogLineKind = z.enum(['out', 'error', 'warning', 'failure']);
export type LogLineKind = z.infer<typeof LogLineKind>;

/** Of what was written and is not a whole line yet. */
interface Open {
  readonly text: string;
  readonly atMs: number;
  readonly kind: LogLineKind;
}

const MAX_LINE = 64 * 1024;

/** Makes lines of a build's events, in the order of their ends: farm and dashboard number them alike by it. */
export class LogLines {
  readonly #open = new Map<string, Open>();

  /** The lines that end with an event. */
  add({ event }: NumberedEvent): readonly LogLine[] {
    switch (event.type) {
      case 'log':
        return this.#write(event.vertex, event.text, event.atMs, event.stream === 2 ? 'error' : 'out');
      case 'vertexDone':
      case 'vertexFailed':
        return this.#close(event.vertex);
      case 'warning':
        return [{ vertex: '', text: event.message, atMs: event.atMs, kind: 'warning' }];
      case 'failed':
        return [{ vertex: '', text: event.failure.message, atMs: event.atMs, kind: 'failure' }, ...this.#closeAll()];
      case 'succeeded':
      case 'cancelled':
        return this.#closeAll();
      default:
        return [];
    }
  }

  #write(vertex: string, text: string, atMs: number, kind: LogLineKind): readonly LogLine[] {
    const pieces = ((this.#open.get(vertex)?.text ?? '') + text).split('\n');
    const rest = pieces.pop() ?? '';
    const lines = pieces.map((piece) => ({ vertex, text: shown(piece), atMs, kind }));
    this.#open.delete(vertex);
    if (rest === '') return lines;
    if (rest.length >= MAX_LINE) return [...lines, { vertex, text: shown(rest), atMs, kind }];
    this.#open.set(vertex, { text: rest, atMs, kind });
    return lines;
  }

  #close(vertex: string): readonly LogLine[] {
    const open = this.#open.get(vertex);
    if (open === undefined) return [];
    this.#open.delete(vertex);
    return [{ vertex, ...open, text: shown(open.text) }];
  }

  #closeAll(): readonly LogLine[] {
    return [...this.#open.keys()].flatMap((vertex) => this.#close(vertex));
  }
}

/** What a terminal would show in the end of a line that was written over. */
function shown(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  return text.slice(text.lastIndexOf('\r') + 1);
}

/** GET /v1/builds/:id/logs/search */
export const LogSearchQuery = z.strictObject({
  /** whatever its case, and the colours that it stands in */
  text: z.string().min(1).max(500),
  /** of one step alone, whose lines are counted by themselves */
  step: z.string().min(1).max(255).optional(),
  /** only behind this line */
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export type LogSearchQuery = z.infer<typeof LogSearchQuery>;

/** Of a line that is found, at most so much is told. */
export const MAX_FOUND_TEXT = 500;

export const LogSearch = z.object({
  matches: z.array(
    z.object({
      /** from 1, in the order of their ends */
      line: z.int(),
      /** `''` for the build itself */
      vertex: z.string(),
      atMs: z.int(),
      kind: LogLineKind,
      /** without colours */
      text: z.string(),
    }),
  ),
  /** lines that were looked at */
  lines: z.int(),
  /** the `after` of what follows; null: all was looked at */
  next: z.int().nullable(),
});
export type LogSearch = z.infer<typeof LogSearch>;

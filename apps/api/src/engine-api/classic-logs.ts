import type { BuildEvent } from '#protocol';

type Log = Extract<BuildEvent, { readonly type: 'log' }>;

/** What a step wrote between two events of its build, the numbers of both included: to be read again from the log. */
export interface LogPart {
  readonly vertex: string;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** Of steps whose turn has not come, in characters. */
const MOST_HELD = 4 * 1024 * 1024;
const RED = '\u001B[91m';
const PLAIN = '\u001B[0m';

/** As a daemon colours it. */
export const coloured = ({ stream, text }: Log): string => (stream === 2 ? `${RED}${text}${PLAIN}` : text);

/** What steps wrote and nobody was told yet, by vertex: the beginning as it is, the rest by where it stands. */
export class ClassicLogs {
  readonly #held = new Map<string, { readonly texts: string[]; rest?: LogPart }>();
  #size = 0;

  add(log: Log, seq: number): void {
    const { vertex } = log;
    const text = coloured(log);
    const own = this.#held.get(vertex) ?? { texts: [] };
    this.#held.set(vertex, own);
    if (own.rest !== undefined || this.#size + text.length > MOST_HELD) {
      own.rest = { vertex, firstSeq: own.rest?.firstSeq ?? seq, lastSeq: seq };
      return;
    }
    this.#size += text.length;
    own.texts.push(text);
  }

  take(vertex: string): readonly (string | LogPart)[] {
    const own = this.#held.get(vertex);
    if (own === undefined) return [];
    this.#held.delete(vertex);
    this.#size -= own.texts.reduce((sum, text) => sum + text.length, 0);
    if (this.#held.size === 0) this.#size = 0;
    return own.rest === undefined ? own.texts : [...own.texts, own.rest];
  }
}

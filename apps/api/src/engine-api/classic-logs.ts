import type { BuildEvent } from '#protocol';

type Log = Extract<BuildEvent, { readonly type: 'log' }>;

/** Of steps whose turn has not come, in characters. */
const MOST_HELD = 4 * 1024 * 1024;
const RED = '\u001B[91m';
const PLAIN = '\u001B[0m';

/** As a daemon colours it. */
export const coloured = ({ stream, text }: Log): string => (stream === 2 ? `${RED}${text}${PLAIN}` : text);

/** What steps wrote and nobody was told yet, by vertex. */
export class ClassicLogs {
  readonly #held = new Map<string, { texts: string[]; left: number }>();
  #size = 0;

  add(log: Log): void {
    const { vertex, text } = log;
    const own = this.#held.get(vertex) ?? { texts: [], left: 0 };
    this.#held.set(vertex, own);
    if (own.left > 0 || this.#size + text.length > MOST_HELD) {
      own.left += text.length;
      return;
    }
    this.#size += text.length;
    own.texts.push(coloured(log));
  }

  take(vertex: string): readonly string[] {
    const own = this.#held.get(vertex);
    if (own === undefined) return [];
    this.#held.delete(vertex);
    this.#size -= own.texts.reduce((sum, text) => sum + text.length, 0);
    if (this.#held.size === 0) this.#size = 0;
    return own.left === 0 ? own.texts : [...own.texts, `[${own.left} more characters are in the log of the build]\n`];
  }
}

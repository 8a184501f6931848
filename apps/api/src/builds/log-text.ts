import type { BuildEvent, NumberedEvent } from '#protocol';

interface Shown {
  readonly number: number;
  /** of each stream, what has no end of line yet */
  readonly open: Map<1 | 2, string>;
}

/** A build's events as text for people: `#3 [2/5] RUN make`, `#3 …output`, `#3 DONE 1.2s`. */
export class LogText {
  readonly #names = new Map<string, string>();
  readonly #shown = new Map<string, Shown>();

  /** Whole lines. */
  lines(event: BuildEvent): readonly string[] {
    switch (event.type) {
      case 'planned':
        for (const { vertex, name } of event.vertices) this.#names.set(vertex, name);
        return [];
      case 'vertexStarted':
        return this.#head(event.vertex);
      case 'log':
        return this.#output(event);
      case 'vertexDone': {
        const end = event.outcome === 'hit' ? 'CACHED' : `DONE ${seconds(event.durationMs)}`;
        return this.#end(event.vertex, end);
      }
      case 'vertexFailed':
        return this.#end(event.vertex, `ERROR ${event.message}`);
      case 'warning':
        return [`WARNING: ${event.message}${event.line === undefined ? '' : ` (line ${event.line})`}`];
      case 'failed':
        return [`ERROR: ${event.failure.message}`, ...(event.failure.hint === undefined ? [] : [event.failure.hint])];
      case 'cancelled':
        return [`CANCELLED: ${event.reason}`];
      case 'succeeded':
        return [`SUCCEEDED in ${seconds(event.result.durationMs)}`];
      case 'started':
        return event.attempt === 1 ? [] : [`attempt ${event.attempt}: another builder goes on`];
      case 'progress':
      case 'delivered':
      case 'intermediate':
      case 'layerPushed':
        return [];
    }
  }

  #head(vertex: string): readonly string[] {
    const known = this.#shown.get(vertex);
    const shown = known ?? { number: this.#shown.size + 1, open: new Map<1 | 2, string>() };
    this.#shown.set(vertex, shown);
    return known === undefined ? [`#${shown.number} ${this.#names.get(vertex) ?? vertex}`] : [];
  }

  #output({ vertex, stream, text }: Extract<BuildEvent, { type: 'log' }>): readonly string[] {
    const head = this.#head(vertex);
    const shown = this.#shown.get(vertex);
    if (shown === undefined) return head;
    const lines = ((shown.open.get(stream) ?? '') + text).split('\n');
    shown.open.set(stream, lines.pop() ?? '');
    return [...head, ...lines.map((line) => `#${shown.number} ${line}`)];
  }

  #end(vertex: string, end: string): readonly string[] {
    const head = this.#head(vertex);
    const shown = this.#shown.get(vertex);
    if (shown === undefined) return head;
    const left = [...shown.open.values()].filter((text) => text !== '');
    shown.open.clear();
    return [...head, ...[...left, end].map((line) => `#${shown.number} ${line}`)];
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)}s`;

export async function* logText(events: AsyncIterable<NumberedEvent>): AsyncGenerator<string> {
  const text = new LogText();
  for await (const { event } of events) {
    const lines = text.lines(event);
    if (lines.length > 0) yield `${lines.join('\n')}\n`;
  }
}

export async function* jsonLines(events: AsyncIterable<NumberedEvent>): AsyncGenerator<string> {
  for await (const event of events) yield `${JSON.stringify(event)}\n`;
}

import type { BuildFailure } from '#protocol';
import type { ProgressEvent, Renderer } from './client-event.ts';
import { filesText, plainDuration, size } from './duration.ts';
import { failureLines, findingLines, resultRows, summaryLine } from './ending-text.ts';
import { cleanLine, cutLines } from './log-text.ts';
import { type BuildModel, emptyModel, fold, isContextVertex, type VertexState, warningText } from './model.ts';
import { TextMux } from './text-mux.ts';

export interface PlainOptions {
  readonly write: (text: string) => void;
  readonly nowMs: () => number;
  /** shows the farm's context vertex, where the client has sent none itself */
  readonly showContext?: boolean;
  /** what brings the lines of several builds under each other */
  readonly mux?: TextMux;
  /** which of several builds it is: told with each step */
  readonly target?: string;
}

const CONTEXT = 'context';
/** Pushes tell of their bytes every few seconds. */
const PROGRESS_MS = 5_000;
/** And so does the context. */
const CONTEXT_MS = 1_000;

/** A build as lines that are only ever added, in the manner of BuildKit's plain progress. */
export class PlainRenderer implements Renderer {
  readonly #options: PlainOptions;
  readonly #mux: TextMux;
  readonly #toldAtMs = new Map<string, number>();
  readonly #beganMs: number;
  #model: BuildModel = emptyModel;

  constructor(options: PlainOptions) {
    this.#options = options;
    this.#mux = options.mux ?? new TextMux(options.write);
    this.#beganMs = options.nowMs();
  }

  show(event: ProgressEvent): void {
    const before = this.#model;
    this.#model = fold(before, event);
    switch (event.type) {
      case 'sending':
        return this.#sending(event);
      case 'sent':
        return this.#sent(event);
      case 'accepted':
        return;
      case 'started':
        if (event.attempt > 1) this.note(`builder ${event.builderId} takes the build over (attempt ${event.attempt})`);
        return;
      case 'planned':
      case 'delivered':
      case 'intermediate':
      case 'layerPushed':
        return;
      case 'progress':
        return this.#progress(event, before);
      case 'warning':
        // What the checks found stands at the end.
        if (event.rule !== undefined) return;
        return this.#aside([`warning: ${clean(warningText(event))}`]);
      case 'succeeded':
      case 'failed':
      case 'cancelled':
        return this.#end(before, event);
      case 'vertexStarted':
      case 'vertexDone':
      case 'vertexFailed':
      case 'log':
        return this.#vertex(event, before.vertices.get(event.vertex));
    }
  }

  note(line: string): void {
    this.#mux.note(this.#of(line));
  }

  close(): void {
    this.#mux.flush();
  }

  #say(id: string, name: string, lines: readonly string[], atMs: number, end?: string): void {
    const { target } = this.#options;
    // As docker buildx bake names the steps of its targets.
    const named = target === undefined ? name : name.replace(/^\[?/, (at) => `${at}${target} `);
    this.#mux.add({ id: `${target ?? ''} ${id}`, name: named, lines, atMs, end });
  }

  /** A line that belongs to no step. */
  #of(line: string): string {
    const { target } = this.#options;
    return target === undefined || line === '' ? line : `${target}: ${line}`;
  }

  #aside(lines: readonly string[]): void {
    this.#mux.aside(lines.map((line) => this.#of(line)));
  }

  #sending({ context, sentBytes, sentFiles, atMs }: Extract<ProgressEvent, { type: 'sending' }>): void {
    const saidAtMs = this.#toldAtMs.get(CONTEXT);
    // What the build asks for later is told when it has come, or takes long.
    if (saidAtMs !== undefined && atMs - saidAtMs < CONTEXT_MS) return;
    this.#toldAtMs.set(CONTEXT, atMs);
    const sent = sentFiles === undefined ? size(sentBytes) : filesText(sentFiles);
    const lines = saidAtMs === undefined ? [] : [`sending context: ${sent} (of ${size(context.sizeBytes)})`];
    this.#say(CONTEXT, '[internal] load build context', lines, atMs);
  }

  #sent({ context, sentBytes, durationMs, atMs }: Extract<ProgressEvent, { type: 'sent' }>): void {
    const line = `transferring context: ${filesText(context)} (${size(sentBytes)} sent) ${plainDuration(durationMs)} done`;
    this.#say(CONTEXT, '[internal] load build context', [line], atMs, `DONE ${plainDuration(durationMs)}`);
  }

  #vertex(
    event: Extract<ProgressEvent, { type: 'vertexStarted' | 'vertexDone' | 'vertexFailed' | 'log' }>,
    vertex: VertexState | undefined,
  ): void {
    if (vertex === undefined) return;
    if (isContextVertex(vertex.name) && this.#options.showContext !== true) return;
    const say = (lines: readonly string[], end?: string): void => {
      this.#say(vertex.id, clean(vertex.name), lines, event.atMs, end);
    };
    const stamp = `${(Math.max(0, event.atMs - (vertex.startedAtMs ?? event.atMs)) / 1000).toFixed(3)} `;
    const rest = vertex.rest === '' ? [] : [stamp + cleanLine(cutLines(vertex.rest, '\n').lines[0] ?? '', false)];
    switch (event.type) {
      case 'vertexStarted':
        return say(missLines(event.miss));
      case 'log': {
        const { lines } = cutLines(vertex.rest, event.text);
        return lines.length === 0 ? undefined : say(lines.map((line) => stamp + cleanLine(line, false)));
      }
      case 'vertexFailed':
        return say(rest, `ERROR: ${clean(event.message)}`);
      case 'vertexDone': {
        const miss = vertex.miss === undefined ? missLines(event.miss) : [];
        return say([...rest, ...miss], outcomeText(event));
      }
    }
  }

  #progress(event: Extract<ProgressEvent, { type: 'progress' }>, before: BuildModel): void {
    // Parts of a vertex (layers that are pulled) come in numbers; the vertex' own lines suffice here.
    if (event.vertex !== undefined) return;
    const { id, name, atMs, current, total, unit, done } = event;
    const startedAtMs = before.tasks.get(id)?.startedAtMs ?? atMs;
    const saidAtMs = this.#toldAtMs.get(id);
    if (saidAtMs === undefined || atMs - saidAtMs >= PROGRESS_MS) {
      this.#toldAtMs.set(id, atMs);
      const of = unit === 'bytes' && total !== undefined ? [`${size(current)} / ${size(total)}`] : [];
      if (!done) return this.#say(id, clean(name), saidAtMs === undefined ? [] : of, atMs);
    }
    if (done) this.#say(id, clean(name), [], atMs, `DONE ${plainDuration(atMs - startedAtMs)}`);
  }

  #end(before: BuildModel, event: Extract<ProgressEvent, { type: 'succeeded' | 'failed' | 'cancelled' }>): void {
    for (const { id, name, state } of before.vertices.values()) {
      if (state === 'running' && !isContextVertex(name)) this.#say(id, clean(name), [], event.atMs, 'CANCELED');
    }
    this.#mux.flush();
    if (event.type === 'cancelled') return this.#aside([`build cancelled: ${clean(event.reason)}`]);
    if (event.type === 'failed') {
      const lines = [...tailLines(event.failure), ...failureLines(event.failure, before)];
      // An aside is set off by an empty line as it is.
      const [, ...found] = findingLines(before);
      return this.#aside([...found, ...(found.length === 0 ? [] : ['']), ...lines]);
    }
    const pushed = [...before.tasks.values()].some(({ name }) => name.startsWith('pushing '));
    const wallMs = this.#options.nowMs() - this.#beganMs;
    this.#aside([
      ...resultRows(event.result, pushed).map(([key, value]) => `${key} ${value}`),
      summaryLine(event.result, { wallMs, url: before.build?.url ?? '' }),
      ...findingLines(before),
    ]);
  }
}

const clean = (text: string): string => cleanLine(text.replaceAll(/\s+/g, ' ').trim(), false);

const missLines = (miss: string | undefined): string[] => (miss === undefined ? [] : [`miss: ${clean(miss)}`]);

function outcomeText({ outcome, durationMs, hit }: Extract<ProgressEvent, { type: 'vertexDone' }>): string {
  const took = plainDuration(durationMs);
  const from = hit === undefined ? '' : `build ${clean(hit.buildId)} on ${clean(hit.scope)}`;
  if (outcome === 'joined') return `JOINED ${took} (${from || 'another build'} ran it)`;
  if (outcome !== 'hit') return `DONE ${took}`;
  if (hit === undefined) return 'CACHED';
  const saved = hit.savedMs < 50 ? '' : `saved ${plainDuration(hit.savedMs)}, `;
  return `CACHED (${saved}from ${from})`;
}

/** The failed step's last output again, since other steps may have written after it. */
function tailLines({ name, tail = [] }: BuildFailure): string[] {
  if (tail.length === 0) return [];
  return ['------', ` > ${clean(name ?? '')}:`, ...tail.map((line) => cleanLine(line, false)), '------', ''];
}

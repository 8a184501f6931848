import { partsOf } from '#protocol';
import { count, filesText, shortDuration, size } from './duration.ts';
import { fit, pad } from './fit.ts';
import { cleanLine, lastState } from './log-text.ts';
import { type BuildModel, type ContextState, isContextVertex, type TaskState, type VertexState } from './model.ts';
import type { Paint } from './paint.ts';

export interface ViewSize {
  readonly columns: number;
  readonly rows: number;
}

export interface ViewOptions extends ViewSize {
  /** on the farm's clock */
  readonly nowMs: number;
  readonly paint: Paint;
}

/** Something of a build on the screen. */
export interface Row {
  readonly id: string;
  readonly lines: readonly string[];
  /** will not change any more */
  readonly settled: boolean;
  /** has not begun */
  readonly pending?: boolean;
}

const WIDEST = 120;
const LABEL = 11;
const STATUS = 9;
const RIGHT = 11;
const LOG_LINES = 6;
const INDENT = ' '.repeat(LABEL + 4);

const clean = (text: string): string => cleanLine(text.replaceAll(/\s+/g, ' ').trim(), false);

/** The build as rows, in the order of the plan. */
export function viewRows(model: BuildModel, options: ViewOptions): Row[] {
  const rows: Row[] = [];
  if (model.build !== undefined && model.farm !== undefined) rows.push(headRow(model, options));
  if (model.context !== undefined) rows.push(contextRow(model.context, options));
  for (const vertex of model.vertices.values()) {
    if (!isContextVertex(vertex.name)) rows.push(vertexRow(vertex, options));
  }
  if (model.context?.againAtMs !== undefined) rows.push(sendingRow(model.context, model.context.againAtMs, options));
  for (const task of model.tasks.values()) if (task.endedAtMs === undefined) rows.push(taskRow(task, options));
  return rows;
}

function headRow({ build, farm }: BuildModel, { columns, paint }: ViewOptions): Row {
  const parts = [
    ...(build?.tags.slice(0, 1) ?? []),
    `build ${build?.id ?? ''}`,
    `scope ${build?.scope ?? ''}`,
    `farm ${farm?.url ?? ''}${farm?.embedded === true ? ' (embedded)' : ''}`,
  ];
  return {
    id: 'head',
    lines: [fit(` ${paint.strong('kiln')}  ${clean(parts.join(' · '))}`, columns), ''],
    settled: true,
  };
}

interface Cells {
  readonly mark: string;
  readonly label: string;
  readonly text: string;
  readonly status?: string;
  readonly right?: string;
}

/** One line: mark, place, what it is, how it went, what it cost. Narrow terminals lose the middle first. */
function line({ mark, label, text, status = '', right = '' }: Cells, { columns }: ViewOptions): string {
  const width = Math.min(columns - 1, WIDEST);
  const head = ` ${mark} ${pad(label, LABEL)} `;
  if (width < 60) return fit(`${head}${pad(text, width - LABEL - 4 - RIGHT - 1)} ${right}`, width).trimEnd();
  const room = width - LABEL - 4 - STATUS - RIGHT - 2;
  return fit(`${head}${pad(text, room)} ${pad(status, STATUS)} ${right}`, width).trimEnd();
}

function contextRow(context: ContextState, options: ViewOptions): Row {
  const { sentBytes, sentFiles, startedAtMs, durationMs } = context;
  const settled = durationMs !== undefined;
  const fresh = sentFiles === undefined ? '' : ` · ${count(sentFiles.files)} new`;
  const sent = `${fresh} (${size(sentBytes)} ${settled ? 'sent' : 'sent so far'})`;
  const right = shortDuration(durationMs ?? options.nowMs - startedAtMs);
  const mark = settled ? ' ' : options.paint.busy('▸');
  return {
    id: 'context',
    lines: [line({ mark, label: 'context', text: `${filesText(context)}${sent}`, right }, options)],
    settled,
  };
}

/** While the build waits for more: the row of the context stands above long since. */
function sendingRow({ sentFiles, sizeBytes }: ContextState, sinceMs: number, options: ViewOptions): Row {
  const text = `sending ${filesText(sentFiles ?? { files: 0, sizeBytes: 0 })} (of ${size(sizeBytes)})`;
  const right = shortDuration(options.nowMs - sinceMs);
  return {
    id: 'sending',
    lines: [line({ mark: options.paint.busy('▸'), label: 'context', text, right }, options)],
    settled: false,
  };
}

function vertexRow(vertex: VertexState, options: ViewOptions): Row {
  const { place, text } = partsOf(vertex.name);
  const lines = [line({ ...outcome(vertex, options), label: clean(place), text: clean(text) }, options)];
  const more = (line: string): void => void lines.push(fit(`${INDENT}${line}`, Math.min(options.columns - 1, WIDEST)));
  if (vertex.miss !== undefined) more(options.paint.dim(`miss: ${clean(vertex.miss)}`));
  if (vertex.state === 'running' || vertex.state === 'failed' || vertex.state === 'cancelled') {
    const output = [...vertex.tail, ...(vertex.rest === '' ? [] : [lastState(vertex.rest)])];
    const shown = output.map((text) => cleanLine(text, true)).filter((text) => text !== '');
    for (const text of shown.slice(vertex.state === 'failed' ? 0 : -LOG_LINES)) more(text);
  }
  const pending = vertex.state === 'pending';
  return { id: vertex.id, lines, settled: !pending && vertex.state !== 'running', pending };
}

function outcome(vertex: VertexState, { nowMs, paint }: ViewOptions): Omit<Cells, 'label' | 'text'> {
  const took = shortDuration(vertex.durationMs ?? 0);
  switch (vertex.state) {
    case 'pending':
      return { mark: ' ', status: paint.dim('waiting') };
    case 'running':
      return {
        mark: paint.busy('▸'),
        status: progressText(vertex) || 'running',
        right: shortDuration(nowMs - (vertex.startedAtMs ?? nowMs)),
      };
    case 'hit': {
      const savedMs = vertex.hit?.savedMs ?? 0;
      return { mark: paint.good('✓'), status: 'hit', right: savedMs < 100 ? '–' : `saved ${shortDuration(savedMs)}` };
    }
    case 'run':
      return { mark: paint.good('✓'), status: 'run', right: took };
    case 'joined':
      return { mark: paint.good('✓'), status: 'joined', right: took };
    case 'done':
      return { mark: paint.good('✓'), right: took };
    case 'failed':
      return { mark: paint.bad('✗'), status: paint.bad(failedText(vertex.message)), right: took };
    case 'cancelled':
      return { mark: paint.bad('✗'), status: 'cancelled', right: took };
  }
}

function failedText(message = ''): string {
  const code = /exit code: (\d+)$/.exec(message)?.[1];
  return code === undefined ? 'failed' : `exit ${code}`;
}

function progressText({ progress }: Pick<VertexState, 'progress'>): string {
  if (progress === undefined || progress.total === undefined || progress.total === 0) return '';
  return `${Math.floor((100 * progress.current) / progress.total)}%`;
}

function taskRow(task: TaskState, options: ViewOptions): Row {
  const right = shortDuration(options.nowMs - task.startedAtMs);
  const cells = { mark: options.paint.busy('▸'), label: '', text: clean(task.name), status: progressText(task), right };
  return { id: `task ${task.id}`, lines: [line(cells, options)], settled: false };
}

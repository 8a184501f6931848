import type { BuildEvent, BuildFailure, BuildResult, HitSource, PlannedVertex } from '#protocol';
import type { ContextCount, FarmName, ProgressEvent, Sent } from './client-event.ts';
import { cutLines } from './log-text.ts';

/** One vertex of the plan, as far as it has come. */
export interface VertexState {
  readonly id: string;
  readonly name: string;
  /** counts as a step for the user */
  readonly step: boolean;
  readonly state: 'pending' | 'running' | 'hit' | 'run' | 'joined' | 'done' | 'failed' | 'cancelled';
  readonly startedAtMs?: number;
  readonly durationMs?: number;
  readonly hit?: HitSource;
  readonly miss?: string;
  readonly message?: string;
  /** last lines of its output, as they came */
  readonly tail: readonly string[];
  /** the line that has not ended */
  readonly rest: string;
  readonly progress?: Progress;
}

/** Work without a vertex of its own: exporting, pushing. */
export interface TaskState {
  readonly id: string;
  readonly name: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly progress: Progress;
}

export interface Progress {
  readonly current: number;
  readonly total: number | undefined;
  readonly unit: 'bytes' | 'items';
}

export interface ContextState extends ContextCount, Omit<Sent, 'context'> {
  readonly startedAtMs: number;
  /** undefined while it is being sent */
  readonly durationMs?: number;
  /** since when more is sent, which the build has asked for */
  readonly againAtMs?: number;
}

export type Ending =
  | { readonly state: 'succeeded'; readonly result: BuildResult }
  | { readonly state: 'failed'; readonly failure: BuildFailure }
  | { readonly state: 'cancelled'; readonly reason: string };

/** All that a view of a build needs. */
export interface BuildModel {
  readonly context?: ContextState;
  readonly build?: {
    readonly id: string;
    readonly url: string;
    readonly scope: string;
    readonly tags: readonly string[];
  };
  readonly farm?: FarmName;
  /** counts the builders that took the build: each plans anew */
  readonly attempt: number;
  readonly vertices: ReadonlyMap<string, VertexState>;
  readonly tasks: ReadonlyMap<string, TaskState>;
  /** what the checks found, each once */
  readonly findings: ReadonlySet<string>;
  readonly ending?: Ending;
}

export const emptyModel: BuildModel = { attempt: 0, vertices: new Map(), tasks: new Map(), findings: new Set() };

const TAIL_LINES = 20;

/** The client shows its context itself, so the farm's vertex for it is not shown a second time. */
export const isContextVertex = (name: string): boolean => name.startsWith('[internal] load build context');

export function fold(model: BuildModel, event: ProgressEvent): BuildModel {
  switch (event.type) {
    case 'sending':
    case 'sent':
      return { ...model, context: foldContext(model.context, event) };
    case 'accepted': {
      const { id, url, scope, request } = event.build;
      return { ...model, farm: event.farm, build: { id, url, scope, tags: request.tags } };
    }
    case 'started':
      return { ...model, attempt: event.attempt };
    case 'planned':
      return { ...model, vertices: plan(event.vertices), tasks: new Map() };
    case 'vertexStarted':
    case 'vertexDone':
    case 'vertexFailed':
    case 'log':
      return changeVertex(model, event.vertex, (vertex) => foldVertex(vertex, event));
    case 'progress':
      return foldProgress(model, event);
    case 'warning':
      return event.rule === undefined
        ? model
        : { ...model, findings: new Set([...model.findings, warningText(event)]) };
    case 'delivered':
    case 'succeeded':
      return { ...model, ending: { state: 'succeeded', result: event.result } };
    case 'intermediate':
    case 'layerPushed':
      return model;
    case 'failed':
      return { ...cancelOpen(model, event.atMs), ending: { state: 'failed', failure: event.failure } };
    case 'cancelled':
      return { ...cancelOpen(model, event.atMs), ending: { state: 'cancelled', reason: event.reason } };
  }
}

/** `JSONArgsRecommended: … (line 3)` */
export function warningText({ message, line }: Of<'warning'>): string {
  return `${message}${line === undefined || line === 0 ? '' : ` (line ${line})`}`;
}

type Of<T extends ProgressEvent['type']> = Extract<ProgressEvent, { readonly type: T }>;

function foldContext(known: ContextState | undefined, event: Of<'sending' | 'sent'>): ContextState {
  const { context, sentBytes, sentFiles, atMs } = event;
  const startedAtMs = known?.startedAtMs ?? atMs;
  const sent = { ...context, sentBytes, startedAtMs, ...(sentFiles === undefined ? {} : { sentFiles }) };
  if (event.type === 'sent') return { ...sent, durationMs: event.durationMs };
  if (known?.durationMs === undefined) return sent;
  return { ...sent, durationMs: known.durationMs, againAtMs: known.againAtMs ?? atMs };
}

function plan(planned: readonly PlannedVertex[]): ReadonlyMap<string, VertexState> {
  return new Map(
    planned.map(({ vertex: id, name, step }) => [id, { id, name, step, state: 'pending', tail: [], rest: '' }]),
  );
}

function changeVertex(model: BuildModel, id: string, change: (vertex: VertexState) => VertexState): BuildModel {
  const vertex = model.vertices.get(id);
  return vertex === undefined ? model : { ...model, vertices: new Map(model.vertices).set(id, change(vertex)) };
}

function foldVertex(
  vertex: VertexState,
  event: Of<'vertexStarted' | 'vertexDone' | 'vertexFailed' | 'log'>,
): VertexState {
  switch (event.type) {
    case 'vertexStarted':
      return {
        ...vertex,
        state: 'running',
        startedAtMs: event.atMs,
        ...(event.miss === undefined ? {} : { miss: event.miss }),
      };
    case 'vertexDone': {
      const { outcome, durationMs, hit, miss } = event;
      return {
        ...vertex,
        state: outcome,
        durationMs,
        ...(hit === undefined ? {} : { hit }),
        ...(miss === undefined ? {} : { miss }),
      };
    }
    case 'vertexFailed':
      return { ...vertex, state: 'failed', durationMs: event.durationMs, message: event.message };
    case 'log': {
      const { lines, rest } = cutLines(vertex.rest, event.text);
      return {
        ...vertex,
        rest,
        tail: lines.length === 0 ? vertex.tail : [...vertex.tail, ...lines].slice(-TAIL_LINES),
      };
    }
  }
}

function foldProgress(model: BuildModel, event: Of<'progress'>): BuildModel {
  const { id, name, atMs, current, total, unit, done } = event;
  const progress = { current, total, unit };
  if (event.vertex !== undefined) return changeVertex(model, event.vertex, (vertex) => ({ ...vertex, progress }));
  const startedAtMs = model.tasks.get(id)?.startedAtMs ?? atMs;
  const task: TaskState = { id, name, startedAtMs, progress, ...(done ? { endedAtMs: atMs } : {}) };
  return { ...model, tasks: new Map(model.tasks).set(id, task) };
}

function cancelOpen(model: BuildModel, atMs: number): BuildModel {
  const vertices = [...model.vertices.values()].map((vertex): [string, VertexState] => {
    if (vertex.state !== 'running') return [vertex.id, vertex];
    return [vertex.id, { ...vertex, state: 'cancelled', durationMs: atMs - (vertex.startedAtMs ?? atMs) }];
  });
  return { ...model, vertices: new Map(vertices) };
}

/** What of a build's events the farm sent. */
export function isFarmEvent(event: ProgressEvent): event is BuildEvent {
  return event.type !== 'sending' && event.type !== 'sent' && event.type !== 'accepted';
}

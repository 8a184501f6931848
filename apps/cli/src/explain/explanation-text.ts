import {
  type BuildExplanation,
  changeText,
  type ExplainedCause,
  type FileChange,
  fileText,
  type Hint,
  missText,
  type MissChange,
  type OwnCause,
  partsOf,
  shortDigest,
  type StepRef,
  type StepView,
} from '#protocol';
import { count, shortDuration, size } from '../progress/duration.ts';
import { fit, pad, widthOf } from '../progress/fit.ts';
import { cleanLine } from '../progress/log-text.ts';

const WIDEST_NAME = 44;
const INDENT = '      ';

const clean = (text: string): string => cleanLine(text.replaceAll(/\s+/g, ' ').trim(), false);

/** Why the steps of a build hit or missed, for people: the causes first, then every step. */
export function explanationText(explanation: BuildExplanation, columns: number): string {
  const lines = [
    ...headLines(explanation),
    ...explanation.causes.flatMap((cause) => ['', ...causeLines(cause)]),
    ...(explanation.steps.length === 0 ? [] : ['', ...stepLines(explanation)]),
    ...(explanation.hints.length === 0 ? [] : ['', ...explanation.hints.flatMap(hintLines)]),
  ];
  return lines.map((line) => `${fit(line, columns).trimEnd()}\n`).join('');
}

/** What to do, and how it is written below it. */
export const hintLines = ({ text, snippet }: Hint): readonly string[] => [
  ` hint  ${clean(text)}`,
  ...(snippet?.lines ?? []).map(
    (line) => `${INDENT} ${snippet?.file === '.dockerignore' ? '.dockerignore: ' : ''}${clean(line)}`,
  ),
];

function headLines({ buildId, scope, state, compared, steps, spentMs, savedMs }: BuildExplanation): readonly string[] {
  const hits = steps.filter((step) => step.state === 'hit').length;
  const figures = [
    `${hits} of ${steps.length} steps from the cache`,
    ...(savedMs >= 100 ? [`${shortDuration(savedMs)} saved`] : []),
    ...(hits < steps.length ? [`${shortDuration(spentMs)} spent on what missed`] : []),
  ];
  const head = ` ${buildId} · ${clean(scope)} · ${state} · ${steps.length === 0 ? 'no steps' : figures.join(' · ')}`;
  if (compared === null) return [head];
  const where = compared.inherited ? `${clean(compared.scope)}, which ${clean(scope)} inherits` : clean(compared.scope);
  return [
    head,
    ` compared with ${compared.buildId} (${where}, ${compared.createdAt.replace('T', ' ').slice(0, 16)} UTC)`,
  ];
}

function causeLines({ step, cause, spentMs, followed, followedMs }: ExplainedCause): readonly string[] {
  const { place, text } = partsOf(step.name);
  const line = step.line === 0 ? '' : `  line ${step.line}`;
  const took = spentMs === 0 ? '' : `  ${shortDuration(spentMs)}`;
  return [
    ` ${place}  ${clean(text)}${line}${took}`,
    ...detailLines(cause).map((each) => `${INDENT}${each}`),
    ...(followed.length === 0 ? [] : [`${INDENT}followed: ${placesOf(followed)}  ${shortDuration(followedMs)}`]),
  ];
}

/** `5/6, 6/6` */
const placesOf = (steps: readonly StepRef[]): string =>
  steps.map(({ name }) => partsOf(name).place || clean(name)).join(', ');

function detailLines(cause: OwnCause): readonly string[] {
  return cause.kind === 'changed' ? cause.changes.flatMap(changeLines) : [`miss: ${clean(missText(cause))}`];
}

function changeLines(change: MissChange): readonly string[] {
  switch (change.kind) {
    case 'files':
      return fileLines(change);
    case 'instruction':
      return [`- ${clean(change.old)}`, `+ ${clean(change.new)}`];
    case 'step':
      return [`and ${clean(changeText(change))}`];
    default:
      return [clean(changeText(change))];
  }
}

const marks = { added: '+', removed: '-', changed: '~', renamed: '>' } as const;

function fileLines({ total, files, source }: Extract<MissChange, { kind: 'files' }>): readonly string[] {
  const of = source === 'context' ? '' : ` of ${clean(source)}`;
  if (files.length === 0) return [`files${of} changed (which ones is not kept)`];
  const width = Math.max(...files.map(({ path }) => widthOf(clean(path))));
  const more = total - files.length;
  return [
    `${count(total)} file${total === 1 ? '' : 's'}${of} changed`,
    ...files.map((file) =>
      `  ${marks[file.change]} ${pad(clean(file.path) || '.', width)}  ${sidesOf(file)}`.trimEnd(),
    ),
    ...(more > 0 ? [`  … and ${count(more)} more`] : []),
  ];
}

/** `9f2c41aa… → 41aa77bc…`, or what else of it changed. */
function sidesOf(file: FileChange): string {
  const { change, what, old, new: now, from } = file;
  const digest = (state: typeof old): string => shortDigest(state?.digest ?? null).replace('sha256:', '');
  if (change === 'renamed') return `was ${clean(from ?? '')}`;
  if (change === 'added') return now?.digest === undefined ? (now?.type ?? '') : digest(now);
  if (change === 'removed') return old?.digest === undefined ? (old?.type ?? '') : digest(old);
  if (what[0] === 'content' && old?.digest !== undefined && now?.digest !== undefined) {
    const also = what.length > 1 ? ` (and ${what.slice(1).join(', ')})` : '';
    return `${digest(old)} → ${digest(now)}${also}`;
  }
  const text = clean(fileText(file));
  return text.startsWith(clean(file.path)) ? text.slice(clean(file.path).length).trim() : text;
}

function stepLines({ steps, compared }: BuildExplanation): readonly string[] {
  const rows = steps.map((step) => {
    const { place, text } = partsOf(step.name);
    return [place, fit(clean(text), WIDEST_NAME), wordOf(step), costOf(step), whyOf(step, compared !== null)] as const;
  });
  const widths = [0, 1, 2, 3].map((at) => Math.max(...rows.map((row) => widthOf(row[at] ?? ''))));
  return rows.map((row) => ` ${row.map((cell, at) => pad(cell, widths[at] ?? widthOf(cell))).join('  ')}`);
}

function wordOf({ state, cause, miss }: StepView): string {
  return state === 'run' && (cause !== null || miss !== null) ? 'miss' : state;
}

function costOf({ state, hit, durationMs }: StepView): string {
  if (state !== 'hit') return durationMs === null ? '' : shortDuration(durationMs);
  return (hit?.savedMs ?? 0) < 100 ? '–' : `saved ${shortDuration(hit?.savedMs ?? 0)}`;
}

function whyOf({ state, hit, cause, miss }: StepView, compared: boolean): string {
  if (state === 'hit') {
    if (hit === null) return 'below a hit';
    const bytes = hit.savedBytes > 0 ? `, ${size(hit.savedBytes)}` : '';
    return `${hit.key} key, built by ${hit.buildId} (${clean(hit.scope)}) on ${clean(hit.builderId)}${bytes}`;
  }
  if (cause === null) return clean(miss ?? '');
  if (cause.kind === 'followed') return `followed from ${partsOf(cause.step.name).place || clean(cause.step.name)}`;
  return cause.kind === 'changed' && compared ? 'see above' : clean(missText(cause));
}

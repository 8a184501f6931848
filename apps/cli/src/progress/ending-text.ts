import { type BuildFailure, type BuildResult, type Excerpt, partsOf } from '#protocol';
import { shortDuration, size } from './duration.ts';
import { cleanLine } from './log-text.ts';
import type { BuildModel } from './model.ts';

const clean = (text: string): string => cleanLine(text.replaceAll(/\s*\n\s*/g, ' '), false);

/** `done in 0.9s · 5 of 6 steps from the cache · 1m 9s saved · http://…` */
export function summaryLine(result: BuildResult, { wallMs, url }: { wallMs: number; url: string }): string {
  const { total, hit, joined } = result.steps;
  const steps = `${hit} of ${total} ${total === 1 ? 'step' : 'steps'} from the cache`;
  return [
    `done in ${shortDuration(wallMs)}`,
    ...(total === 0 ? [] : [steps]),
    ...(joined === 0 ? [] : [`${joined} joined`]),
    ...(result.savedMs < 100 ? [] : [`${shortDuration(result.savedMs)} saved`]),
    clean(url),
  ].join(' · ');
}

/** What the build gave: name by name, and the digest. Two columns. */
export function resultRows(result: BuildResult, pushed: boolean): readonly (readonly [string, string])[] {
  const names = result.names.map((name): readonly [string, string] => [pushed ? 'pushed' : 'tagged', clean(name)]);
  const sent = result.bytes.pushed === 0 ? 'every layer was there already' : `${size(result.bytes.pushed)} sent`;
  const digest =
    result.digest === undefined ? [] : [['digest', pushed ? `${result.digest}  ${sent}` : result.digest] as const];
  return [...names, ...digest];
}

/** What the checks found: at the end, where nothing that steps write hides it. */
export function findingLines({ findings }: BuildModel): string[] {
  if (findings.size === 0) return [];
  const count = findings.size === 1 ? '1 warning found' : `${findings.size} warnings found`;
  return ['', `${count} (use --check to expand):`, ...[...findings].map((text) => ` - ${clean(text)}`)];
}

export function excerptLines({ file, line, endLine = line, firstLine, lines }: Excerpt): string[] {
  const width = String(firstLine + lines.length - 1).length;
  return [
    `${clean(file)}:${line}`,
    ...lines.map((text, index) => {
      const number = firstLine + index;
      const mark = number >= line && number <= endLine ? '>' : ' ';
      return `${mark} ${String(number).padStart(width)} | ${cleanLine(text.replaceAll('\t', '    '), false)}`.trimEnd();
    }),
  ];
}

/** Where it failed and what to do; the step's own output is the views' matter. */
export function failureLines(failure: BuildFailure, model: BuildModel): string[] {
  const vertex = failure.vertex === undefined ? undefined : model.vertices.get(failure.vertex);
  const { step } = partsOf(failure.name ?? '');
  const lines = failure.excerpt === undefined ? [] : [...excerptLines(failure.excerpt), ''];
  lines.push(`build failed: ${reasonOf(failure, vertex?.durationMs)}`);
  if (failure.hint !== undefined) lines.push(clean(failure.hint));
  if (model.build !== undefined && step !== undefined && failure.code === 'STEP_FAILED') {
    lines.push(`log    kiln logs ${model.build.id} --step ${step}`);
  }
  return lines;
}

function reasonOf({ name, exitCode, message }: BuildFailure, durationMs: number | undefined): string {
  const { place } = partsOf(name ?? '');
  const after = durationMs === undefined ? '' : ` after ${shortDuration(durationMs)}`;
  if (exitCode === undefined || place === '') return clean(message);
  const exited = `step ${place} exited with ${exitCode}${after}`;
  // A step that was ended for its memory says so in its message; the plain exit code says it all.
  return /exit code: \d+$/.test(message) ? exited : `${exited}: ${clean(message)}`;
}

import { type Hint, type MissChange, missText, partsOf, type StepView } from '#protocol';
import { count, shortDuration, size } from '../progress/duration.ts';
import { cleanLine } from '../progress/log-text.ts';
import { type BuildStory, type Finding, findingsOf } from './build-story.ts';

const MAX_STEPS = 100;
const MAX_TEXT = 160;
const MAX_FILES = 10;

/**
 * A build on a page: what came of it, what the cache was good for, and why steps ran. Markdown as GitHub, GitLab and
 * Buildkite show it. Names and output of steps are not to be trusted: no mark-up of theirs comes through.
 */
export function markdownOf(story: BuildStory, dockerfile: string): string {
  const findings = findingsOf(story, dockerfile);
  const parts = [
    head(story),
    ...errorParts(story, findings),
    ...imageParts(story),
    ...stepParts(story),
    ...causeParts(story),
    ...warningParts(findings),
  ];
  return `${parts.join('\n\n')}\n`;
}

/** In place of a build that there is not. */
export function errorPage(why: string): string {
  const [first = '', ...rest] = why.trim().split('\n');
  const more = rest.map((line) => `\n> ${text(line)}`).join('');
  return `### ❌ No build\n\n> **${text(first)}**${more}\n`;
}

const heads = {
  succeeded: '✅ Built',
  failed: '❌ Failed',
  cancelled: '⏹️ Cancelled',
  running: '⏳ Running',
  queued: '⏳ Queued',
} as const;

function head({ build, explanation }: BuildStory): string {
  const { request, result, state, startedAt, finishedAt } = build;
  const name = request.reference ?? request.tags[0] ?? request.target ?? '';
  const took =
    startedAt === null || finishedAt === null
      ? ''
      : ` in ${shortDuration(Date.parse(finishedAt) - Date.parse(startedAt))}`;
  const done = request.call === 'run' && state === 'succeeded' ? '✅ Ran' : heads[state];
  const title = `### ${done}${name === '' ? '' : ` ${code(name)}`}${took}`;
  const { steps, savedMs, spentMs } = explanation;
  const hits = steps.filter((step) => step.state === 'hit').length;
  const joined = result?.steps.joined ?? 0;
  const figures = [
    ...(steps.length === 0 ? [] : [`**${hits} of ${steps.length} steps from the cache**`]),
    ...(joined === 0 ? [] : [`${joined} joined`]),
    ...(savedMs < 100 ? [] : [`**${shortDuration(savedMs)} saved**`]),
    ...(spentMs < 100 ? [] : [`${shortDuration(spentMs)} spent on what missed`]),
    ...(result === null ? [] : [`${size(result.bytes.contextSent)} sent`]),
    `[build ${text(build.id)}](${address(build.url)})`,
  ];
  return `${title}\n\n${figures.join(' · ')}`;
}

function errorParts({ build: { failure } }: BuildStory, findings: readonly Finding[]): readonly string[] {
  const parts = findings
    .filter(({ level }) => level === 'error')
    .map(({ message, place }) => {
      const where = place === undefined ? '' : ` (${code(`${place.file}:${place.line}`)})`;
      return `> **${text(message)}**${where}`;
    });
  if (failure?.excerpt !== undefined) parts.push(fenced(failure.excerpt.lines, 'dockerfile'));
  if (failure?.tail !== undefined && failure.tail.length > 0)
    parts.push(`Last lines of the step:`, fenced(failure.tail, 'text'));
  return parts;
}

function imageParts({ build: { result } }: BuildStory): readonly string[] {
  if (result?.digest === undefined) return [];
  const names = result.names.map((name) => `- ${code(name)}`);
  return [[...names, `- digest ${code(result.digest)}`].join('\n')];
}

function stepParts({ explanation: { steps } }: BuildStory): readonly string[] {
  if (steps.length === 0) return [];
  const rows = steps.slice(0, MAX_STEPS).map((step) => {
    const { place, text: name } = partsOf(step.name);
    return `| ${text(place)} | ${code(name)} | ${wordOf(step)} | ${timeOf(step)} | ${whyOf(step)} |`;
  });
  const more = steps.length - rows.length;
  return [
    ['| | step | | time | why |', '|---|---|---|---|---|', ...rows].join('\n'),
    ...(more > 0 ? [`… and ${count(more)} more steps`] : []),
  ];
}

function wordOf({ state, cause, miss }: StepView): string {
  if (state === 'hit') return '✔ hit';
  return state === 'run' && (cause !== null || miss !== null) ? '▶ miss' : text(state);
}

function timeOf({ state, hit, durationMs }: StepView): string {
  if (state === 'hit') return (hit?.savedMs ?? 0) < 100 ? '' : `saved ${shortDuration(hit?.savedMs ?? 0)}`;
  return durationMs === null ? '' : shortDuration(durationMs);
}

function whyOf({ state, hit, cause, miss }: StepView): string {
  if (state === 'hit') return hit === null ? '' : `${hit.key} key, ${text(hit.scope)}`;
  if (cause === null) return text(miss ?? '');
  return cause.kind === 'followed' ? `followed from ${text(partsOf(cause.step.name).place)}` : text(missText(cause));
}

function causeParts({ explanation: { causes, hints, compared } }: BuildStory): readonly string[] {
  const lines = causes.flatMap(({ step, cause, followed, spentMs, followedMs }) => {
    const { place, text: name } = partsOf(step.name);
    const all = spentMs + followedMs;
    const cost = all < 100 ? '' : ` — ${shortDuration(all)}`;
    const after = followed.length === 0 ? '' : `, and ${followed.length} that followed`;
    const files = cause.kind !== 'changed' ? [] : cause.changes.flatMap(filesOf);
    return [`- ${text(place)} ${code(name)}${after}${cost}: ${text(missText(cause))}`, ...files];
  });
  if (lines.length === 0) return hintsOf(hints);
  const beside = compared === null ? '' : `, compared with ${text(compared.buildId)} of ${text(compared.scope)}`;
  return [folded(`Why steps ran${beside}`, lines), ...hintsOf(hints)];
}

function filesOf(change: MissChange): string[] {
  if (change.kind !== 'files') return [];
  const shown = change.files.slice(0, MAX_FILES).map((file) => `  - ${file.change} ${code(file.path || '.')}`);
  const more = change.total - shown.length;
  return more > 0 && shown.length > 0 ? [...shown, `  - … and ${count(more)} more`] : shown;
}

const hintsOf = (hints: readonly Hint[]): readonly string[] =>
  hints.map((hint) => {
    const { file, lines } = hint.snippet ?? { file: 'Dockerfile', lines: [] };
    const shown = lines.map((line) => `> ${file === 'Dockerfile' ? '' : `${file}: `}${code(line)}`);
    return [`> 💡 ${text(hint.text)}`, ...shown].join('  \n');
  });

function warningParts(findings: readonly Finding[]): readonly string[] {
  const warnings = findings.filter(({ level }) => level === 'warning');
  if (warnings.length === 0) return [];
  const lines = warnings.map(({ message, place, url }) => {
    const where = place === undefined ? '' : `${code(`${place.file}:${place.line}`)} `;
    return `- ${where}${text(message)}${url === undefined ? '' : ` ([more](${address(url)}))`}`;
  });
  const title = `${count(warnings.length)} warning${warnings.length === 1 ? '' : 's'}`;
  return [folded(title, lines)];
}

const folded = (title: string, lines: readonly string[]): string =>
  `<details>\n<summary>${title}</summary>\n\n${lines.join('\n')}\n\n</details>`;

/** What HTML or Markdown would obey, and what would become a link or a mention. */
const marks = /[&<>"|@\\`*_[\]~#!]|:\/\/|^[-+=]|^\d(?=\d*[.)](?:\s|$))/gu;

/** On one line, as it reads: without what a terminal, HTML or Markdown would obey. */
function text(value: string): string {
  const line = cleanLine(value.replaceAll(/\s+/g, ' ').trim(), false);
  const short = line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT - 1)}…` : line;
  return short.replaceAll(marks, (mark) => [...mark].map((char) => `&#${char.codePointAt(0) ?? 0};`).join(''));
}

/** By HTML's element: backticks cannot hold backticks. */
function code(value: string): string {
  return `<code>${text(value)}</code>`;
}

/** Between fences that the lines cannot end. */
function fenced(lines: readonly string[], language: string): string {
  const clean = lines.map((line) => cleanLine(line.replaceAll('\t', '    '), false));
  const longest = Math.max(2, ...clean.flatMap((line) => [...line.matchAll(/`+/g)].map(([run]) => run.length)));
  const fence = '`'.repeat(longest + 1);
  return [`${fence}${language}`, ...clean, fence].join('\n');
}

/** A URL inside of `[…](…)`; what is none is no link. */
function address(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) return '#';
  return parsed.href.replaceAll('(', '%28').replaceAll(')', '%29');
}

import type { FileChange, MissCause, MissChange } from './miss-cause.ts';

const MAX_TEXT = 80;
const NAMED = 2;

const cut = (text: string): string => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text);
const quoted = (value: string | null): string => (value === null ? 'none' : JSON.stringify(cut(value)));
const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** `sha256:0123456789ab…` as far as people compare it. */
export function shortDigest(digest: string | null): string {
  return digest === null ? 'none' : `${digest.slice(0, 'sha256:'.length + 12)}…`;
}

/** The name of a step without its place: `[build 2/5] RUN make` is `RUN make`. */
export const instructionOf = (name: string): string => name.replace(/^\[[^\]]*\d+\/\d+\] /, '').replace(/^LINK /, '');

/** Why a step missed, on one line. */
export function missText(cause: MissCause): string {
  switch (cause.kind) {
    case 'changed':
      return cause.changes.map(changeText).join('; ');
    case 'followed':
      return `followed from ${cut(instructionOf(cause.step.name))}: ${missText(cause.cause)}`;
    case 'neverBuilt':
      return 'never built before';
    case 'gone': {
      const detail = cause.detail === undefined ? '' : `: ${cause.detail}`;
      return `${goneText[cause.reason]} ${cause.at.replace('T', ' ').slice(0, 16)} UTC${detail}`;
    }
    case 'scope':
      return 'built before, in a scope that this build may not read';
    case 'noCache':
      return cause.flag === '--no-cache' ? '--no-cache' : `--no-cache-filter ${cause.stage}`;
    case 'expired':
      return `its time to live ended ${cause.at.replace('T', ' ').slice(0, 16)} UTC`;
    case 'unfinished':
      return `build ${cause.buildId} had the same step, and has no result of it`;
    case 'otherRun':
      return 'its record stands on another run of a step below it';
    case 'unknown':
      return 'not in the cache; why cannot be told';
  }
}

const goneText = {
  evicted: 'evicted from the cache',
  lost: 'its blobs were lost or damaged, seen',
  disowned: 'disowned',
} as const;

/** One change, on one line. */
export function changeText(change: MissChange): string {
  switch (change.kind) {
    case 'instruction':
      return `instruction changed: ${cut(change.old)} → ${cut(change.new)}`;
    case 'variable':
      return `${change.from} ${change.name} ${quoted(change.old)} → ${quoted(change.new)}`;
    case 'setting':
      return `${change.name} ${quoted(change.old)} → ${quoted(change.new)}`;
    case 'image':
      return change.oldName === change.newName
        ? `${change.newName} moved ${shortDigest(change.old)} → ${shortDigest(change.new)}`
        : `base image ${change.oldName} → ${change.newName}`;
    case 'commit':
      return `${change.repository} moved ${(change.old ?? 'none').slice(0, 12)} → ${(change.new ?? 'none').slice(0, 12)}`;
    case 'files':
      return filesText(change);
    case 'order':
      return change.gone
        ? `${cut(change.old)}, which came before it, is gone`
        : `order changed: after ${cut(change.new)}, no longer after ${cut(change.old)}`;
    case 'step':
      return `followed from ${cut(instructionOf(change.step.name))}`;
  }
}

function filesText({ source, total, files }: Extract<MissChange, { kind: 'files' }>): string {
  const from = source === 'context' ? '' : ` of ${source}`;
  if (files.length === 0) return `files${from} changed`;
  // A URL is one file.
  if (source.includes('://')) return `${source} changed`;
  const named = files.slice(0, total > NAMED + 1 ? 1 : NAMED + 1).map(fileText);
  const rest = total - named.length;
  return `${named.join(', ')}${from}${rest > 0 ? ` (and ${count(rest, 'more file')})` : ''}`;
}

/** `src/a.ts changed`, `b.sh mode 0644 → 0755` */
export function fileText({ path, change, what, from, old, new: now }: FileChange): string {
  const name = path === '' ? '.' : path;
  if (change === 'renamed') return `${from} renamed to ${name}`;
  if (change !== 'changed' || old === undefined || now === undefined) return `${name} ${change}`;
  switch (what[0]) {
    case 'type':
      return `${name} ${old.type} → ${now.type}`;
    case 'mode':
      return `${name} mode ${octal(old.mode)} → ${octal(now.mode)}`;
    case 'owner':
      return `${name} owner ${old.uid}:${old.gid} → ${now.uid}:${now.gid}`;
    case 'link':
      return `${name} link ${cut(old.link ?? '')} → ${cut(now.link ?? '')}`;
    case 'attributes':
      return `${name} extended attributes changed`;
    case 'names':
      return `${name} hard links changed`;
    default:
      return `${name} changed`;
  }
}

export const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

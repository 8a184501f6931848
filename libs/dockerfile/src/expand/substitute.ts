import { invalid } from '../invalid.ts';
import { findGlob, type Glob, matchGlobStart, parseGlob, reverseGlob } from './glob.ts';

/** Length of the value times that of the pattern: what one substitution may cost. */
const WORK_LIMIT = 50_000_000;

/** `${name#pattern}`, or with `longest` `${name##pattern}`. */
export function trimPrefix(value: string, pattern: string, longest: boolean): string {
  const { glob, text } = prepare(value, pattern);
  const match = matchGlobStart(glob, text, longest);
  return match === undefined ? value : text.slice(match.end).join('');
}

/** `${name%pattern}`, or with `longest` `${name%%pattern}`. */
export function trimSuffix(value: string, pattern: string, longest: boolean): string {
  const { glob, text } = prepare(value, pattern);
  const match = matchGlobStart(reverseGlob(glob), text.toReversed(), longest);
  return match === undefined ? value : text.slice(0, text.length - match.end).join('');
}

/** `${name/pattern/replacement}`, or with `all` `${name//pattern/replacement}`. */
export function replace(value: string, pattern: string, replacement: string, all: boolean): string {
  const { glob, text } = prepare(value, pattern);
  const out: string[] = [];
  let done = 0;
  for (let at = 0; at <= text.length; ) {
    const match = findGlob(glob, text, at, true);
    if (match === undefined) break;
    const empty = match.end === match.start;
    // As in Go: nothing directly after a match is no further match.
    if (!empty || match.start > done || done === 0) {
      out.push(text.slice(done, match.start).join(''), replacement);
      done = match.end;
    }
    if (!all) break;
    at = empty ? match.end + 1 : match.end;
  }
  return out.join('') + text.slice(done).join('');
}

function prepare(value: string, pattern: string): { glob: Glob; text: readonly string[] } {
  if (value.length * pattern.length > WORK_LIMIT) {
    throw invalid(
      `value and pattern are too long for a substitution (${value.length} and ${pattern.length} characters)`,
      { hint: 'replace it in a RUN' },
    );
  }
  return { glob: parseGlob(pattern), text: [...value] };
}

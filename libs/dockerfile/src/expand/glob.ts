import { invalid } from '../invalid.ts';

/** One character to match; null matches any. */
type Step = string | null;

/** Parts of a shell pattern between its `*`. */
export type Glob = readonly (readonly Step[])[];

/**
 * A pattern of `${name#pattern}` and its kin: `*`, `?`, and `\` before `*`, `?`, `\`, `}` and `/`; no brackets.
 * @throws KilnError DOCKERFILE_INVALID
 */
export function parseGlob(pattern: string): Glob {
  const parts: Step[][] = [[]];
  const chars = [...pattern];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] ?? '';
    const part = parts.at(-1) ?? [];
    if (char === '*') parts.push([]);
    else if (char === '?') part.push(null);
    else if (char === '\\') {
      at += 1;
      const next = chars[at] ?? '';
      if (!['*', '?', '\\', '}', '/'].includes(next)) {
        throw invalid(`invalid pattern (${pattern}) in substitution: invalid escape '\\${next}'`, {
          hint: 'a \\ may stand before *, ?, \\, } and / only',
        });
      }
      part.push(next);
    } else part.push(char);
  }
  return parts;
}

export function reverseGlob(glob: Glob): Glob {
  return glob.map((part) => part.toReversed()).reverse();
}

export interface GlobMatch {
  readonly start: number;
  readonly end: number;
}

/**
 * The leftmost match at or after `from`, the longest or the shortest there. Linear in the text for each part of the
 * pattern, where a regular expression could be made to run for years.
 */
export function findGlob(glob: Glob, text: readonly string[], from: number, longest: boolean): GlobMatch | undefined {
  const [first = [], ...others] = glob;
  // What the first part's leftmost place leaves to the right contains what any later place leaves.
  const start = indexOf(first, text, from);
  if (start === -1) return undefined;
  return endOf(others, text, start, start + first.length, longest);
}

/** The same, at the very beginning of the text. */
export function matchGlobStart(glob: Glob, text: readonly string[], longest: boolean): GlobMatch | undefined {
  const [first = [], ...others] = glob;
  return matchesAt(first, text, 0) ? endOf(others, text, 0, first.length, longest) : undefined;
}

function endOf(
  parts: Glob,
  text: readonly string[],
  start: number,
  from: number,
  longest: boolean,
): GlobMatch | undefined {
  let end = from;
  for (const [index, part] of parts.entries()) {
    const last = longest && index === parts.length - 1;
    const found = last ? lastIndexOf(part, text, end) : indexOf(part, text, end);
    if (found === -1) return undefined;
    end = found + part.length;
  }
  return { start, end };
}

function matchesAt(part: readonly Step[], text: readonly string[], at: number): boolean {
  if (at + part.length > text.length) return false;
  return part.every((step, index) => step === null || step === text[at + index]);
}

function indexOf(part: readonly Step[], text: readonly string[], from: number): number {
  for (let at = from; at + part.length <= text.length; at += 1) if (matchesAt(part, text, at)) return at;
  return -1;
}

function lastIndexOf(part: readonly Step[], text: readonly string[], from: number): number {
  for (let at = text.length - part.length; at >= from; at -= 1) if (matchesAt(part, text, at)) return at;
  return -1;
}

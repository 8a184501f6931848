import { posix } from 'node:path';
import { KilnError, messageOf } from '#std';
import { joinSteps, matchSteps, PatternReader, type Step } from './pattern.ts';

interface IgnorePattern {
  /** as it is matched */
  readonly text: string;
  readonly steps: readonly Step[];
  /** begins with `!`: takes back what patterns before it ignore */
  readonly exception: boolean;
}

/** What the patterns say of one path; what lies below it goes on from there. */
export interface IgnoreState {
  readonly ignored: boolean;
  /** which patterns match the path or one of its parents */
  readonly matched: readonly boolean[];
}

// White space as Go's unicode.IsSpace has it.
const blank = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';
const edges = new RegExp(`^${blank}|${blank}$`, 'g');
const trim = (text: string): string => text.replace(edges, '');

function shorten(pattern: string): string {
  const normal = posix.normalize(pattern);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** `**` covers any number of directories, none included; at the end it covers everything. */
function parseSteps(pattern: string): readonly Step[] {
  const reader = new PatternReader(pattern);
  const steps: Step[] = [];
  while (!reader.ended) {
    const first = reader.at === 0;
    if (!reader.skip('**')) {
      steps.push(reader.step());
      continue;
    }
    const whole = reader.skip('/');
    // `**name`, where name has no wildcard, is an ending, not a component.
    const ending = first && !whole && !/[*?[\]\\]/.test(pattern.slice(2));
    steps.push({ kind: reader.ended || ending ? 'rest' : 'directories' });
  }
  return joinSteps(steps);
}

function parseLine(line: string): IgnorePattern {
  const marked = line.startsWith('!');
  let pattern = trim(marked ? line.slice(1) : line);
  if (pattern !== '') pattern = shorten(pattern);
  if (pattern.length > 1 && pattern.startsWith('/')) pattern = pattern.slice(1);
  // What is left is read a second time, as a pattern that somebody wrote: `/!name` is an exception, `/ name` has no blank.
  pattern = shorten(trim(marked ? `!${pattern}` : pattern) || '.');
  const exception = pattern.startsWith('!');
  if (pattern === '!') throw new KilnError('INVALID_ARGUMENT', 'an exception (!) without a pattern');
  const text = exception ? pattern.slice(1) : pattern;
  return { text, steps: parseSteps(text), exception };
}

/**
 * Which paths of a context do not count. The last pattern that matches a path or a directory above it decides; so does
 * `docker build` (moby/patternmatcher, as its walk uses it).
 */
export class IgnoreRules {
  readonly #patterns: readonly IgnorePattern[];

  constructor(patterns: readonly IgnorePattern[]) {
    this.#patterns = patterns;
  }

  /** Of the root, which is never ignored. */
  get root(): IgnoreState {
    return { ignored: false, matched: [] };
  }

  /** Of `path`, whose parent has the state `parent`. */
  enter(parent: IgnoreState, path: string): IgnoreState {
    let ignored = false;
    const matched = this.#patterns.map(({ steps, exception }, index) => {
      // A pattern that cannot change anything here is not asked, and so not inherited either.
      const matches = parent.matched[index] === true || (exception === ignored && matchSteps(steps, path));
      if (matches) ignored = !exception;
      return matches;
    });
    return { ignored, matched };
  }

  ignores(path: string): boolean {
    let state = this.root;
    for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
      state = this.enter(state, end === -1 ? path : path.slice(0, end));
      if (end === -1) return state.ignored;
    }
  }

  /** Whether any pattern takes something back: then it is hard to say what is ignored without looking at the files. */
  get hasExceptions(): boolean {
    return this.#patterns.some(({ exception }) => exception);
  }

  /** Whether a pattern is there that leaves nothing of the whole context. */
  get coversRoot(): boolean {
    return this.#patterns.some(({ text, exception }) => !exception && ['*', '**', '**/*'].includes(text));
  }

  /** Whether an exception may match anything below an ignored directory. False: no need to look into it. */
  mayReinclude(directory: string): boolean {
    return this.#mayMatchBelow(directory, true);
  }

  /** Whether a pattern may match anything below a directory that none matches. False: no need to look into it. */
  mayMatchBelow(directory: string): boolean {
    return this.#mayMatchBelow(directory, false);
  }

  #mayMatchBelow(directory: string, exceptions: boolean): boolean {
    const below = `${directory}/`;
    return this.#patterns.some(({ steps, exception }) => {
      if (exception !== exceptions) return false;
      const first = steps[0];
      const start = first?.kind === 'text' ? first.text : '';
      return below.startsWith(start) || start.startsWith(below);
    });
  }
}

/**
 * A .dockerignore file: a pattern a line; `#` at the start of a line is a comment; white space around a pattern and a
 * leading `/` do not count.
 * @throws KilnError CONTEXT_INVALID naming the line
 */
export function parseIgnore(text: string): IgnoreRules {
  const patterns: IgnorePattern[] = [];
  const lines = text.replace(/^\ufeff/, '').split('\n');
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('#') || trim(line) === '') continue;
    try {
      patterns.push(parseLine(trim(line)));
    } catch (cause) {
      throw new KilnError('CONTEXT_INVALID', `.dockerignore, line ${index + 1}: ${messageOf(cause)}`, { cause });
    }
  }
  return new IgnoreRules(patterns);
}

/**
 * Patterns of an instruction: as in a .dockerignore, but nothing is a comment, and a leading `/` counts.
 * @throws KilnError INVALID_ARGUMENT for a malformed pattern
 */
export function parsePathPatterns(patterns: readonly string[]): IgnoreRules {
  const parsed: IgnorePattern[] = [];
  for (const each of patterns) {
    if (trim(each) === '') continue;
    const pattern = shorten(trim(each));
    const exception = pattern.startsWith('!');
    if (pattern === '!') throw new KilnError('INVALID_ARGUMENT', 'an exception (!) without a pattern');
    const text = exception ? pattern.slice(1) : pattern;
    parsed.push({ text, steps: parseSteps(text), exception });
  }
  return new IgnoreRules(parsed);
}

/** Ignore nothing. */
export const noRules = new IgnoreRules([]);

/** The ignore files that may belong to a Dockerfile (both as paths in the context); the first that exists counts alone. */
export function ignoreFilesFor(dockerfile: string): readonly [string, string] {
  return [`${dockerfile}.dockerignore`, '.dockerignore'];
}

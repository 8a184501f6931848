import { KilnError } from '#std';

/**
 * A pattern as a list of steps. Matching keeps the set of places that can be reached, step by step: the time is at most
 * pattern × name, whatever a hostile pattern looks like (a backtracking RegExp takes exponential time).
 */
export type Step =
  | { readonly kind: 'text'; readonly text: string }
  /** `?`: one character but `/` */
  | { readonly kind: 'any' }
  /** `[a-z]`, `[^a]` */
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [number, number])[] }
  /** `*`: all characters but `/` */
  | { readonly kind: 'star' }
  /** `**` before something: nothing, or anything that ends in `/` */
  | { readonly kind: 'directories' }
  /** `**` at an end: anything */
  | { readonly kind: 'rest' };

const bad = (pattern: string): KilnError =>
  new KilnError('INVALID_ARGUMENT', `syntax error in pattern ${JSON.stringify(pattern)}`, {
    hint: 'every [ needs a ], ranges are like a-z, and a pattern cannot end in a backslash',
  });

const codeAt = (text: string, at: number): number | undefined => text.codePointAt(at);
const widthOf = (code: number): number => (code > 0xffff ? 2 : 1);

/** Reads the steps of a pattern from left to right. */
export class PatternReader {
  readonly pattern: string;
  at = 0;

  constructor(pattern: string) {
    this.pattern = pattern;
  }

  get ended(): boolean {
    return this.at >= this.pattern.length;
  }

  /** Moves over `text` where it is next. */
  skip(text: string): boolean {
    if (!this.pattern.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  /** The next step as Go's filepath.Match reads it. */
  step(): Step {
    if (this.skip('*')) return { kind: 'star' };
    if (this.skip('?')) return { kind: 'any' };
    if (this.skip('[')) return this.#class();
    this.skip('\\');
    return { kind: 'text', text: this.#character() };
  }

  #character(): string {
    const code = codeAt(this.pattern, this.at);
    if (code === undefined) throw bad(this.pattern);
    this.at += widthOf(code);
    return String.fromCodePoint(code);
  }

  #class(): Step {
    const negated = this.skip('^');
    const ranges: [number, number][] = [];
    while (!(ranges.length > 0 && this.skip(']'))) {
      const low = this.#bound();
      ranges.push([low, this.skip('-') ? this.#bound() : low]);
    }
    return { kind: 'class', negated, ranges };
  }

  #bound(): number {
    const escaped = this.skip('\\');
    const character = this.#character();
    if (!escaped && (character === '-' || character === ']')) throw bad(this.pattern);
    return codeAt(character, 0) ?? 0;
  }
}

/** Neighbouring characters as one text: names that differ early are done with in one comparison. */
export function joinSteps(steps: readonly Step[]): readonly Step[] {
  const joined: Step[] = [];
  for (const step of steps) {
    const last = joined.at(-1);
    if (step.kind === 'text' && last?.kind === 'text')
      joined.splice(-1, 1, { kind: 'text', text: last.text + step.text });
    else if (step.kind !== 'star' || last?.kind !== 'star') joined.push(step);
  }
  return joined;
}

function spread(text: string, places: readonly number[]): number[] {
  const next: number[] = [];
  let reached = -1;
  for (const place of places) {
    // The place before it went to the end of the component, and over this one.
    if (place <= reached) continue;
    const slash = text.indexOf('/', place);
    reached = slash === -1 ? text.length : slash;
    for (let at = place; at <= reached; at++) next.push(at);
  }
  return next;
}

function advance(text: string, places: readonly number[], accepts: (code: number) => boolean): number[] {
  return places.flatMap((place) => {
    const code = codeAt(text, place);
    return code !== undefined && accepts(code) ? [place + widthOf(code)] : [];
  });
}

/** The places after a step, ascending, from those before it, ascending. */
function take(step: Step, text: string, places: readonly number[]): readonly number[] {
  switch (step.kind) {
    case 'text':
      return places.filter((at) => text.startsWith(step.text, at)).map((at) => at + step.text.length);
    case 'any':
      return advance(text, places, (code) => code !== 0x2f);
    case 'class':
      return advance(
        text,
        places,
        (code) => step.ranges.some(([low, high]) => code >= low && code <= high) !== step.negated,
      );
    case 'star':
      return spread(text, places);
    case 'directories':
    case 'rest': {
      const first = places[0] ?? text.length;
      const known = new Set(places);
      for (let at = first; at <= text.length; at++) {
        if (step.kind === 'rest' || (at > first && text[at - 1] === '/')) known.add(at);
      }
      return [...known].sort((a, b) => a - b);
    }
  }
}

/** Whether the steps cover the whole text. */
export function matchSteps(steps: readonly Step[], text: string): boolean {
  let places: readonly number[] = [0];
  for (const step of steps) {
    places = take(step, text, places);
    if (places.length === 0) return false;
  }
  return places.at(-1) === text.length;
}

/** @throws KilnError INVALID_ARGUMENT when the pattern is malformed */
export function parsePattern(pattern: string): readonly Step[] {
  const reader = new PatternReader(pattern);
  const steps: Step[] = [];
  while (!reader.ended) steps.push(reader.step());
  return joinSteps(steps);
}

/**
 * Go's filepath.Match, which COPY and ADD use: `*`, `?`, `[a-z]`, `[^a]`, and a backslash before a character that is meant
 * as it is. The pattern covers the whole name; `*` and `?` do not cover a `/`.
 * @throws KilnError INVALID_ARGUMENT when the pattern is malformed
 */
export function matchPattern(pattern: string, name: string): boolean {
  return matchSteps(parsePattern(pattern), name);
}

/** Whether a pattern has a wildcard that is not behind a backslash. */
export function hasWildcard(pattern: string): boolean {
  return /[*?[]/.test(pattern.replace(/\\./gsu, ''));
}

/** The text that a pattern without wildcards stands for. */
export function unescapePattern(pattern: string): string {
  return pattern.replace(/\\(.)/gsu, '$1');
}

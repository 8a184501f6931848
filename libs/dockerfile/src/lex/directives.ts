import { invalid } from '../invalid.ts';
import { trimStart } from './space.ts';

export type EscapeToken = '\\' | '`';

export interface Directive {
  readonly name: 'escape' | 'syntax' | 'check';
  readonly value: string;
  readonly line: number;
}

/** The value ends where the blanks at the end of the line begin; a pattern that finds them would be slow on many. */
const pattern = /^([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+)$/;
const trailing = new Set('\t\n\f\r ');

/** Parser directives: `# name=value` lines before anything else, each name once. */
export class DirectiveReader {
  readonly #seen = new Map<string, Directive>();
  #done = false;

  /** @returns the directive on this line, or undefined; lines are read in order */
  read(text: string, line: number): Directive | undefined {
    if (this.#done) return undefined;
    const match = text.startsWith('#') ? pattern.exec(trimStart(text.slice(1))) : null;
    const name = match?.[1]?.toLowerCase();
    const value = match?.[2] === undefined ? undefined : trimTrailing(match[2]);
    if (value === undefined || (name !== 'escape' && name !== 'syntax' && name !== 'check')) {
      this.#done = true;
      return undefined;
    }
    if (this.#seen.has(name))
      throw invalid(`only one ${name} parser directive can be used`, {
        line,
        hint: `take this line out, or the other # ${name}=`,
      });
    const directive: Directive = { name, value, line };
    this.#seen.set(name, directive);
    return directive;
  }

  get(name: Directive['name']): Directive | undefined {
    return this.#seen.get(name);
  }
}

function trimTrailing(text: string): string {
  let end = text.length;
  while (end > 1 && trailing.has(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

/** @throws KilnError DOCKERFILE_INVALID */
export function parseEscape({ value, line }: Directive): EscapeToken {
  if (value === '\\' || value === '`') return value;
  throw invalid(`invalid escape token '${value}' does not match \` or \\`, {
    line,
    hint: 'write # escape=\\ or # escape=`',
  });
}

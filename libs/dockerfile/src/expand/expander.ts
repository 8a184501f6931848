import type { EscapeToken } from '../lex/directives.ts';
import { invalid } from '../invalid.ts';
import type { WorkMeter } from '../work-meter.ts';
import { replace, trimPrefix, trimSuffix } from './substitute.ts';
import { WordSplitter } from './word-splitter.ts';

/** What names stand for. */
export interface Variables {
  get(name: string): string | undefined;
  /** counts what expanding with these costs */
  readonly meter?: WorkMeter;
}

export interface ExpandOptions {
  readonly escape: EscapeToken;
  /** quotes group, and stay */
  readonly rawQuotes?: boolean;
  /** escape tokens stay */
  readonly rawEscapes?: boolean;
  /** quotes are characters like all others */
  readonly plainQuotes?: boolean;
  /** a name that stands for nothing stays as it was written */
  readonly skipUnset?: boolean;
  /** of what comes out, in characters; {@link VALUE_LIMIT} by default */
  readonly limit?: number;
}

/** The kernel takes no longer string in an environment. Bounds what a few lines can expand to. */
export const VALUE_LIMIT = 128 * 1024;
/** Of `${a:-${b:-…}}`. */
const DEPTH_LIMIT = 64;

const TAKE_APART = 'give a part of it a name of its own, with ARG or ENV';
const CLOSE = 'write ${NAME} or $NAME; \\$ is a dollar sign';

const specialName = /^[@*#?\-$!0]$/;
const nameStart = /^[\p{L}_]$/u;
const namePart = /^[\p{L}\p{Nd}_]$/u;
const digit = /^\p{Nd}$/u;

/**
 * One pass over one word. A modifier's word is expanded by the same rules, so that quotes, names and modifiers all call
 * each other: one class holds them together.
 */
export class Expander {
  readonly matched = new Set<string>();
  readonly unmatched = new Set<string>();
  readonly #chars: readonly string[];
  readonly #variables: Variables;
  readonly #options: ExpandOptions;
  readonly #plain: ReadonlySet<string>;
  #at = 0;
  #depth = 0;

  constructor(source: string, variables: Variables, options: ExpandOptions) {
    this.#chars = [...source];
    this.#variables = variables;
    this.#options = options;
    this.#plain = new Set(options.plainQuotes === true ? ['$', '<'] : ['$', '<', "'", '"']);
  }

  /** @throws KilnError DOCKERFILE_INVALID */
  run(): { value: string; words: readonly string[] } {
    return this.#until(undefined, this.#options.rawEscapes === true);
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #next(): string | undefined {
    return this.#chars[this.#at++];
  }

  /** Up to `stop`, which is taken and not returned. */
  #until(stop: string | undefined, rawEscapes: boolean): { value: string; words: readonly string[] } {
    const out = new WordSplitter(this.#options.limit ?? VALUE_LIMIT);
    for (let char = this.#peek(); char !== undefined; char = this.#peek()) {
      if (char === stop) {
        this.#at += 1;
        return out.finish();
      }
      if (char === '$') out.addSplit(this.#dollar());
      else if (this.#plain.has(char)) out.add(this.#special(char, rawEscapes));
      else {
        this.#at += 1;
        if (char !== this.#options.escape) out.addSplit(char);
        else {
          if (rawEscapes) out.add(char);
          const next = this.#next();
          if (next !== undefined) out.add(next);
        }
      }
    }
    if (stop !== undefined)
      throw invalid(`unexpected end of statement while looking for matching ${stop}`, {
        hint: `end the substitution with ${stop}, or write \\$ for a dollar sign`,
      });
    return out.finish();
  }

  #special(char: string, rawEscapes: boolean): string {
    if (char === "'") return this.#singleQuoted();
    if (char === '"') return this.#doubleQuoted(rawEscapes);
    return this.#lessThan();
  }

  #singleQuoted(): string {
    const start = this.#at + 1;
    const end = this.#chars.indexOf("'", start);
    if (end === -1) {
      // What is around the quote is unfinished as well, and says so.
      this.#at = this.#chars.length;
      throw invalid('unexpected end of statement while looking for matching single-quote', {
        hint: "close the quote, or write \\' for the character itself",
      });
    }
    this.#at = end + 1;
    const inner = this.#chars.slice(start, end).join('');
    return this.#options.rawQuotes === true ? `'${inner}'` : inner;
  }

  #doubleQuoted(rawEscapes: boolean): string {
    const { rawQuotes, escape } = this.#options;
    let out = '';
    this.#at += 1;
    for (let char = this.#peek(); char !== undefined; char = this.#peek()) {
      if (char === '"') {
        this.#at += 1;
        return rawQuotes === true ? `"${out}"` : out;
      }
      if (char === '$') {
        out += this.#dollar();
        continue;
      }
      this.#at += 1;
      if (char !== escape) out += char;
      else {
        if (rawEscapes) out += char;
        const escaped = this.#peek();
        if (escaped === undefined) break;
        // Before anything else the token stays, as in a shell.
        if (escaped === '"' || escaped === '$' || escaped === escape) this.#at += 1;
        out += escaped === '"' || escaped === '$' || escaped === escape ? escaped : char;
      }
    }
    throw invalid('unexpected end of statement while looking for matching double-quote', {
      hint: 'close the quote, or write \\" for the character itself',
    });
  }

  /** `<<` and the blanks after it stay together, so that `<< EOF` is one word. */
  #lessThan(): string {
    this.#at += 1;
    if (this.#peek() !== '<') return '<';
    this.#at += 1;
    let out = '<<';
    for (let char = this.#peek(); char === '\t' || char === '\r' || char === ' '; char = this.#peek()) {
      out += char;
      this.#at += 1;
    }
    return out;
  }

  #name(): string {
    const first = this.#peek() ?? '';
    const start = this.#at;
    if (digit.test(first)) while (digit.test(this.#peek() ?? '')) this.#at += 1;
    else if (specialName.test(first)) this.#at += 1;
    else if (nameStart.test(first)) while (namePart.test(this.#peek() ?? '')) this.#at += 1;
    return this.#chars.slice(start, this.#at).join('');
  }

  #lookUp(name: string): string | undefined {
    const value = this.#variables.get(name);
    (value === undefined ? this.unmatched : this.matched).add(name);
    this.#variables.meter?.spend(1 + (value ?? '').length);
    return value;
  }

  #dollar(): string {
    this.#at += 1;
    if (this.#peek() === '{') {
      this.#at += 1;
      this.#depth += 1;
      if (this.#depth > DEPTH_LIMIT)
        throw invalid(`more than ${DEPTH_LIMIT} substitutions within each other`, { hint: TAKE_APART });
      const value = this.#braced();
      this.#depth -= 1;
      return value;
    }
    const name = this.#name();
    if (name === '') return '$';
    return this.#lookUp(name) ?? (this.#options.skipUnset === true ? `$${name}` : '');
  }

  #braced(): string {
    const first = this.#peek();
    if (first === undefined) throw invalid("syntax error: missing '}'", { hint: CLOSE });
    if (first === '{' || first === '}' || first === ':')
      throw invalid('syntax error: bad substitution', {
        hint: 'write a name after ${, such as ${NAME}; \\$ is a dollar sign',
      });
    const name = this.#name();
    const modifier = this.#next();
    switch (modifier) {
      case undefined:
        throw invalid("syntax error: missing '}'", { hint: CLOSE });
      case '}':
        return this.#lookUp(name) ?? (this.#options.skipUnset === true ? `\${${name}}` : '');
      case '/':
        return this.#replaced(name);
      case '#':
      case '%':
        return this.#trimmed(name, modifier);
      case ':':
        return this.#conditional(name, this.#next(), true);
      default:
        return this.#conditional(name, modifier, false);
    }
  }

  #argument(stop: string, rawEscapes: boolean): string {
    try {
      return this.#until(stop, rawEscapes).value;
    } catch (thrown) {
      if (this.#peek() === undefined)
        throw invalid(`syntax error: missing '${stop}'${stop === '/' ? ' in ${}' : ''}`, {
          hint: stop === '/' ? 'write ${NAME/pattern/replacement}' : CLOSE,
        });
      throw thrown;
    }
  }

  #conditional(name: string, modifier: string | undefined, emptyIsUnset: boolean): string {
    const shown = `${emptyIsUnset ? ':' : ''}${modifier ?? ''}`;
    if (modifier === undefined) throw invalid("syntax error: missing '}'", { hint: CLOSE });
    if (!['-', '+', '?'].includes(modifier))
      throw invalid(`unsupported modifier (${shown}) in substitution`, {
        hint: 'there are :-, -, :+, +, :?, ?, #, ##, %, %%, / and //',
      });
    const word = this.#argument('}', false);
    const value = this.#lookUp(name);
    if (value === undefined && this.#options.skipUnset === true) return `\${${name}${shown}${word}}`;
    const absent = value === undefined || (emptyIsUnset && value === '');
    if (modifier === '+') return absent ? '' : word;
    if (!absent) return value;
    if (modifier === '-') return word;
    const why = value === undefined ? 'is not allowed to be unset' : 'is not allowed to be empty';
    throw invalid(`${name}: ${word === '' ? why : word}`, {
      hint: `give ${name} a value: with ARG ${name}=… or ENV, or with --build-arg ${name}=… where an ARG declares it`,
    });
  }

  #trimmed(name: string, modifier: '#' | '%'): string {
    const word = this.#argument('}', true);
    const value = this.#lookUp(name);
    if (value === undefined && this.#options.skipUnset === true) return `\${${name}${modifier}${word}}`;
    const longest = word.startsWith(modifier);
    const pattern = longest ? word.slice(1) : word;
    this.#match(value ?? '', pattern);
    return (modifier === '#' ? trimPrefix : trimSuffix)(value ?? '', pattern, longest);
  }

  #replaced(name: string): string {
    const all = this.#peek() === '/';
    if (all) this.#at += 1;
    const pattern = this.#argument('/', true);
    const replacement = this.#argument('}', true);
    const value = this.#lookUp(name);
    if (value === undefined && this.#options.skipUnset === true) return `\${${name}/${pattern}/${replacement}}`;
    this.#match(value ?? '', pattern);
    return replace(value ?? '', pattern, replacement, all);
  }

  #match(value: string, pattern: string): void {
    this.#variables.meter?.spend(value.length * (1 + pattern.length));
  }
}

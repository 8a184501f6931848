import { goQuote } from '../go-format.ts';
import { isKilnError, KilnError } from '#std';
import { Expander, type ExpandOptions, type Variables } from './expander.ts';

export type { ExpandOptions, Variables } from './expander.ts';

export const noVariables: Variables = { get: () => undefined };

export interface Expanded {
  readonly value: string;
  /** names that were looked up and found */
  readonly matched: ReadonlySet<string>;
  /** names that were looked up in vain */
  readonly unmatched: ReadonlySet<string>;
}

/**
 * A word as BuildKit's shell lexer reads it: quotes and escapes are taken away, `$name` and `${name…}` replaced.
 * @throws KilnError DOCKERFILE_INVALID
 */
export function expandWord(word: string, variables: Variables, options: ExpandOptions): Expanded {
  const expander = new Expander(word, variables, options);
  const { value } = run(expander, word);
  return { value, matched: expander.matched, unmatched: expander.unmatched };
}

/**
 * The same, then split at blanks that are neither quoted nor escaped; the blanks of a variable's value count.
 * @throws KilnError DOCKERFILE_INVALID
 */
export function expandWords(text: string, variables: Variables, options: ExpandOptions): readonly string[] {
  return run(new Expander(text, variables, options), text).words;
}

function run(expander: Expander, source: string): { value: string; words: readonly string[] } {
  try {
    return expander.run();
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    const shown = source.length > 200 ? `${source.slice(0, 200)}…` : source;
    throw new KilnError(thrown.code, `failed to process ${goQuote(shown)}: ${thrown.message}`, { hint: thrown.hint });
  }
}
